using System.Buffers;
using System.Text;
using Sluice.Worker.Generation.Tokenization.PreTokenizers;
using Sluice.Worker.Generation.Tokenization.Unicode;

namespace Sluice.Worker.Generation.Tokenization;

/// <summary>Finds added tokens in a text: at each place the longest, from left to right.</summary>
internal sealed class AddedTokenSplitter
{
    private readonly Dictionary<(int Node, char Next), int> edges = [];
    private readonly List<AddedToken?> ends = [null];
    private readonly SearchValues<char> firsts;

    /// <param name="tokens">The tokens.</param>
    /// <param name="textOf">Returns the text by which a token is recognised.</param>
    public AddedTokenSplitter(IEnumerable<AddedToken> tokens, Func<string, string> textOf)
    {
        var first = new HashSet<char>();
        foreach (var token in tokens)
        {
            var text = textOf(token.Content);
            if (text.Length == 0) continue;
            first.Add(text[0]);
            var node = 0;
            foreach (var c in text)
            {
                if (!edges.TryGetValue((node, c), out var next))
                {
                    edges[(node, c)] = next = ends.Count;
                    ends.Add(null);
                }

                node = next;
            }

            // As in Hugging Face's library, the first of equal tokens is found.
            ends[node] ??= token;
        }

        firsts = SearchValues.Create([.. first]);
    }

    /// <summary>Splits a text into added tokens and the text between them.</summary>
    /// <param name="text">The text.</param>
    /// <param name="isFirst">Whether it is at the start of the whole text.</param>
    /// <param name="withControl">Whether control tokens are recognised; otherwise they stay text.</param>
    /// <param name="addToken">Receives a token.</param>
    /// <param name="addText">Receives the text between tokens, which is not empty.</param>
    public void Split(
        string text,
        bool isFirst,
        bool withControl,
        Action<AddedToken> addToken,
        Action<Piece> addText)
    {
        var (at, start) = (0, 0);
        while (at < text.Length)
        {
            var skipped = text.AsSpan(at).IndexOfAny(firsts);
            if (skipped < 0) break;
            at += skipped;
            if (Longest(text, at) is not ({ } token, var length))
            {
                at++;
                continue;
            }

            var (from, to) = (at, at + length);
            at = to;
            if ((token.IsControl && !withControl) || (token.SingleWord && !IsWord(text, from, to))) continue;
            if (token.StripLeft)
                while (from > start && char.IsWhiteSpace(text[from - 1])) from--;
            if (token.StripRight)
                while (to < text.Length && char.IsWhiteSpace(text[to])) to++;
            from = Math.Max(from, start);
            if (from > start) addText(new Piece(text, start, from - start, isFirst && start == 0));
            addToken(token);
            start = Math.Max(start, to);
            at = Math.Max(at, start);
        }

        if (start < text.Length) addText(new Piece(text, start, text.Length - start, isFirst && start == 0));
    }

    private (AddedToken? Token, int Length) Longest(string text, int at)
    {
        (AddedToken?, int) longest = (null, 0);
        var node = 0;
        for (var i = at; i < text.Length && edges.TryGetValue((node, text[i]), out node); i++)
            if (ends[node] is { } token) longest = (token, i + 1 - at);
        return longest;
    }

    private static bool IsWord(string text, int from, int to) =>
        (from == 0 || !Characters.IsWord(Before(text, from)))
        && (to == text.Length || !Characters.IsWord(Rune.GetRuneAt(text, to)));

    private static Rune Before(string text, int at) =>
        char.IsLowSurrogate(text[at - 1]) && at > 1 ? Rune.GetRuneAt(text, at - 2) : new Rune(text[at - 1]);
}
