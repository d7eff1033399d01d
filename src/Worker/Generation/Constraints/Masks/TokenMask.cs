using System.Numerics;

namespace Sluice.Worker.Generation.Constraints.Masks;

/// <summary>A set of tokens.</summary>
/// <param name="size">The number of tokens of the vocabulary.</param>
internal sealed class TokenMask(int size)
{
    private readonly ulong[] words = new ulong[(size + 63) / 64];

    /// <summary>Whether the set is empty.</summary>
    public bool IsEmpty => words.AsSpan().IndexOfAnyExcept(0UL) < 0;

    /// <summary>The number of tokens in the set.</summary>
    public int Count => words.Sum(w => BitOperations.PopCount(w));

    /// <summary>Adds a token.</summary>
    public void Add(int token) => words[token >> 6] |= 1UL << (token & 63);

    /// <summary>Returns whether a token is in the set.</summary>
    public bool Contains(int token) => (words[token >> 6] & (1UL << (token & 63))) != 0;

    /// <summary>Adds the tokens of another set of the same vocabulary.</summary>
    public void Add(TokenMask other)
    {
        for (var i = 0; i < words.Length; i++) words[i] |= other.words[i];
    }

    /// <summary>Sets the logits of all tokens outside of the set to negative infinity.</summary>
    public void Apply(Span<float> logits)
    {
        for (var i = 0; i < words.Length; i++)
        {
            var word = words[i];
            var part = logits[Math.Min(i * 64, logits.Length)..Math.Min((i * 64) + 64, logits.Length)];
            if (word == 0) part.Fill(float.NegativeInfinity);
            else if (word != ulong.MaxValue)
                for (var j = 0; j < part.Length; j++)
                    if ((word & (1UL << j)) == 0)
                        part[j] = float.NegativeInfinity;
        }

        // Models may have more logits than tokens.
        if (words.Length * 64 < logits.Length) logits[(words.Length * 64)..].Fill(float.NegativeInfinity);
    }
}
