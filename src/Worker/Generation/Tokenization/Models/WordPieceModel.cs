using System.Text;
using Sluice.Worker.Generation.Tokenization.Files;

namespace Sluice.Worker.Generation.Tokenization.Models;

/// <summary>
/// WordPiece: the longest token at the start of a word, then the longest that continues it. A word with a part that is
/// not in the vocabulary is one unknown token.
/// </summary>
internal sealed class WordPieceModel : ITokenModel
{
    private const int LongestAllowed = 1000;

    private readonly byte[] prefix;
    private readonly int maxCharacters;
    private readonly int unknown;

    /// <param name="vocabulary">The tokens.</param>
    /// <param name="model">The field <c>model</c>, without its vocabulary.</param>
    /// <exception cref="TokenizerFileException">The unknown token is missing.</exception>
    public WordPieceModel(Vocabulary vocabulary, JsonPart model)
    {
        Vocabulary = vocabulary;
        prefix = Encoding.UTF8.GetBytes(model.Text("continuing_subword_prefix", "##")!);
        // The time for a word is quadratic.
        maxCharacters = Math.Min(model.Number("max_input_chars_per_word", 100), LongestAllowed);
        unknown = WordLevelModel.FindUnknown(vocabulary, model);
    }

    public Vocabulary Vocabulary { get; }

    public void Encode(ReadOnlySpan<char> word, List<int> tokens)
    {
        var characters = 0;
        foreach (var _ in word.EnumerateRunes()) characters++;
        var first = tokens.Count;
        if (characters <= maxCharacters && TryEncode(word, tokens)) return;
        tokens.RemoveRange(first, tokens.Count - first);
        tokens.Add(unknown);
    }

    private bool TryEncode(ReadOnlySpan<char> word, List<int> tokens)
    {
        // The prefix is written directly before each part that is searched.
        Span<byte> bytes = stackalloc byte[prefix.Length + 3 * word.Length];
        var end = prefix.Length + Encoding.UTF8.GetBytes(word, bytes[prefix.Length..]);
        for (var start = prefix.Length; start < end;)
        {
            var from = start;
            if (start > prefix.Length)
            {
                from = start - prefix.Length;
                prefix.CopyTo(bytes[from..]);
            }

            var to = end;
            int token;
            while ((token = Vocabulary.Find(bytes[from..to])) < 0)
            {
                // To the start of the last character.
                do to--;
                while (to > start && (bytes[to] & 0xC0) == 0x80);
                if (to <= start) return false;
            }

            tokens.Add(token);
            start = to;
        }

        return true;
    }
}
