using Sluice.Worker.Generation.Constraints.Grammars;

namespace Sluice.Worker.Generation.Constraints.Masks;

/// <summary>Follows one generated text through a grammar. Not thread-safe.</summary>
internal sealed class TextMatcher
{
    // A special token can come between bytes, and a byte can need a token of its own.
    private const int MaxForcedBytes = 256;

    private readonly MaskSource source;
    private readonly ShortestEnd shortest;
    private readonly long reserve;
    private Configurations now = new();
    private Configurations next = new();

    /// <param name="source">The masks of the grammar.</param>
    public TextMatcher(MaskSource source)
    {
        this.source = source;
        shortest = new ShortestEnd(source.Grammar);
        // A token can hold several decisions, of which few are the longest one.
        reserve = 16 + (2L * source.Grammar.MaxDetour);
        var grammar = source.Grammar;
        now.Add(grammar, grammar.Rules[grammar.Root].Start, null, -1, 0);
    }

    /// <summary>Whether the text can end here.</summary>
    public bool IsComplete => now.IsComplete;

    /// <summary>Whether the text can go on here.</summary>
    public bool CanContinue => now.Ways.Count > 0;

    /// <summary>The tokens that end a text.</summary>
    public IReadOnlyList<int> EndTokens => source.Vocabulary.Tokenizer.EndTokens;

    /// <summary>Returns the tokens that may follow. Tokens that end the text are not in the mask.</summary>
    /// <param name="left">
    /// The tokens that are left, the end included. If they may not suffice, only a shortest end may follow.
    /// </param>
    public TokenMask FindTokens(int left = int.MaxValue)
    {
        if (left == int.MaxValue || left > shortest.Distance(now) + reserve) return source.Find(now);
        var mask = new TokenMask(source.Vocabulary.Trie.VocabularySize);
        var (bytes, token) = shortest.Find(now, MaxForcedBytes);
        if (token is { } special) mask.Add(special);
        source.Vocabulary.Trie.AddPrefixes(mask, bytes);
        return mask;
    }

    /// <summary>Reads a token.</summary>
    /// <returns>Whether the grammar accepts it. If not, nothing was read.</returns>
    public bool Read(int token)
    {
        var tokenizer = source.Vocabulary.Tokenizer;
        var bytes = tokenizer.BytesOf(token);
        if (!tokenizer.IsSpecial(token)) return bytes.Length > 0 && Read(bytes);
        next.Clear();
        next.AddAfterToken(source.Grammar, now, token);
        return Accept(now);
    }

    /// <summary>Reads bytes.</summary>
    /// <returns>Whether the grammar accepts them. If not, nothing was read.</returns>
    public bool Read(ReadOnlySpan<byte> bytes)
    {
        var before = now;
        foreach (var value in bytes)
        {
            // The first step must keep what it started from.
            if (ReferenceEquals(next, before)) next = new Configurations();
            next.Clear();
            next.AddAfter(source.Grammar, now, value);
            if (!Accept(before)) return false;
        }

        return true;
    }

    private bool Accept(Configurations before)
    {
        if (next.IsEmpty)
        {
            now = before;
            next = new Configurations();
            return false;
        }

        (now, next) = (next, now);
        return true;
    }
}
