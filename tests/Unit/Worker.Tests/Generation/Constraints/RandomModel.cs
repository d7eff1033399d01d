using System.Text;
using Sluice.Worker.Generation;
using Sluice.Worker.Generation.Tokenization;

namespace Sluice.Worker.Tests.Generation.Constraints;

/// <summary>A "model" with random logits. It prefers short tokens at times, so that values end.</summary>
/// <param name="tokenizer">The vocabulary.</param>
/// <param name="random">The randomness.</param>
internal sealed class RandomModel(ITokenizer tokenizer, Random random)
{
    private readonly float[] noise =
        [.. Enumerable.Range(0, tokenizer.VocabularySize).Select(_ => random.NextSingle())];

    /// <summary>Generates a text.</summary>
    /// <param name="processor">Forbids tokens.</param>
    /// <param name="maxTokens">The greatest number of tokens, the end included.</param>
    /// <returns>The text, and whether it ended with a token of the end.</returns>
    public (string Text, bool HasEnded) Generate(ILogitsProcessor processor, int maxTokens)
    {
        var generated = new List<int>();
        var bytes = new List<byte>();
        var logits = new float[noise.Length];
        while (generated.Count < maxTokens)
        {
            var shift = random.Next(noise.Length);
            noise.AsSpan(shift).CopyTo(logits);
            noise.AsSpan(0, shift).CopyTo(logits.AsSpan(noise.Length - shift));
            if (random.Next(3) == 0)
                for (var i = 0; i < logits.Length; i++)
                    if (tokenizer.BytesOf(i).Length <= 1)
                        logits[i] += 1;
            processor.Process(logits, generated.ToArray());
            var best = System.Numerics.Tensors.TensorPrimitives.IndexOfMax<float>(logits);
            Assert.True(logits[best] > float.NegativeInfinity, "The processor allows no token.");
            if (tokenizer.IsEnd(best)) return (Encoding.UTF8.GetString([.. bytes]), true);
            generated.Add(best);
            if (tokenizer.IsSpecial(best)) bytes.AddRange(Encoding.UTF8.GetBytes(tokenizer.TextOf(best)));
            else bytes.AddRange(tokenizer.BytesOf(best));
        }

        return (Encoding.UTF8.GetString([.. bytes]), false);
    }
}
