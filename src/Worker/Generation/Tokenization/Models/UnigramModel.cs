using System.Buffers;
using System.Globalization;
using System.Text;
using Sluice.Worker.Generation.Tokenization.Files;

namespace Sluice.Worker.Generation.Tokenization.Models;

/// <summary>Unigram (SentencePiece): the tokens of a word whose sum of scores is the highest.</summary>
internal sealed class UnigramModel : ITokenModel
{
    /// <summary>How much an unknown character scores below the least likely token.</summary>
    private const double UnknownPenalty = 10;

    private readonly double[] scores;
    private readonly double unknownScore;
    private readonly int unknown;
    private readonly bool byteFallback;
    private readonly int[] byteTokens = new int[256];

    /// <summary>The tokens in the order of their bytes, to find all that start a text.</summary>
    private readonly int[] ordered;

    /// <param name="vocabulary">The tokens.</param>
    /// <param name="scores">The score of each token.</param>
    /// <param name="model">The field <c>model</c>, without its vocabulary.</param>
    public UnigramModel(Vocabulary vocabulary, double[] scores, JsonPart model)
    {
        Vocabulary = vocabulary;
        this.scores = scores;
        unknown = model.Find("unk_id")?.AsNumber() ?? -1;
        if (unknown >= vocabulary.Count)
            throw new TokenizerFileException(
                $"{model.Path}.unk_id is {unknown}; expected less than {vocabulary.Count}, the number of tokens");
        unknownScore = scores.Min() - UnknownPenalty;
        byteFallback = model.Flag("byte_fallback", false);
        for (var b = 0; b < 256; b++)
            byteTokens[b] = vocabulary.Find(
                Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"<0x{b:X2}>")));
        ordered = [.. Enumerable.Range(0, vocabulary.Count).Where(t => vocabulary.BytesOf(t).Length > 0)];
        Array.Sort(ordered, (a, b) => vocabulary.BytesOf(a).SequenceCompareTo(vocabulary.BytesOf(b)));
    }

    public Vocabulary Vocabulary { get; }

    public void Encode(ReadOnlySpan<char> word, List<int> tokens)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(3 * word.Length);
        try
        {
            var bytes = buffer.AsSpan(0, Encoding.UTF8.GetBytes(word, buffer));
            var best = BestPaths(bytes);
            AddPath(bytes, best, tokens);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Returns for each position the best way to reach it.</summary>
    private Node[] BestPaths(ReadOnlySpan<byte> bytes)
    {
        var best = new Node[bytes.Length + 1];
        for (var i = 1; i < best.Length; i++) best[i] = new Node(-1, -1, 0);
        for (var start = 0; start < bytes.Length;)
        {
            Rune.DecodeFromUtf8(bytes[start..], out _, out var character);
            var score = best[start].Score;
            var hasCharacter = false;
            var (low, high) = (0, ordered.Length);
            for (var length = 1; start + length <= bytes.Length; length++)
            {
                (low, high) = Narrow(low, high, length - 1, bytes[start + length - 1]);
                if (low == high) break;
                if (Vocabulary.BytesOf(ordered[low]).Length != length) continue;
                var token = Vocabulary.Find(bytes.Slice(start, length));
                Reach(ref best[start + length], new Node(start, token, score + scores[token]));
                hasCharacter |= length == character;
            }

            if (!hasCharacter) Reach(ref best[start + character], new Node(start, unknown, score + unknownScore));
            start += character;
        }

        return best;
    }

    private static void Reach(ref Node target, Node candidate)
    {
        if (target.Start < 0 || candidate.Score > target.Score) target = candidate;
    }

    /// <summary>Returns the range of ordered tokens that have a byte at an index.</summary>
    private (int Low, int High) Narrow(int low, int high, int index, byte value)
    {
        var first = Search(low, high, index, value);
        return (first, value == byte.MaxValue ? high : Search(first, high, index, value + 1));
    }

    /// <summary>Returns the first token of a range whose byte at an index is at least a value.</summary>
    private int Search(int low, int high, int index, int value)
    {
        while (low < high)
        {
            var middle = (low + high) / 2;
            var token = Vocabulary.BytesOf(ordered[middle]);
            if (token.Length <= index || token[index] < value) low = middle + 1;
            else high = middle;
        }

        return low;
    }

    private void AddPath(ReadOnlySpan<byte> bytes, Node[] best, List<int> tokens)
    {
        var parts = new List<(int Start, int End)>();
        var isUnknown = false;
        for (var end = bytes.Length; end > 0; end = best[end].Start)
        {
            var start = best[end].Start;
            // Successive unknown characters are one part.
            if (best[end].Token == unknown && isUnknown) parts[^1] = (start, parts[^1].End);
            else parts.Add((start, end));
            isUnknown = best[end].Token == unknown;
        }

        for (var i = parts.Count - 1; i >= 0; i--)
        {
            var part = bytes[parts[i].Start..parts[i].End];
            var token = Vocabulary.Find(part);
            if (token >= 0) tokens.Add(token);
            else if (byteFallback && HasBytes(part))
                foreach (var b in part) tokens.Add(byteTokens[b]);
            else if (unknown >= 0) tokens.Add(unknown);
        }
    }

    private bool HasBytes(ReadOnlySpan<byte> part)
    {
        foreach (var b in part)
            if (byteTokens[b] < 0) return false;
        return true;
    }

    private readonly record struct Node(int Start, int Token, double Score);
}
