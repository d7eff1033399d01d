using System.Numerics.Tensors;

namespace Sluice.Worker.Generation;

/// <summary>
/// Samples the next token from logits. Pure, except for its own random state: the same seed, parameters and logits
/// result in the same tokens on every machine.
/// </summary>
/// <param name="temperature">The divisor of the logits; 0 selects the most likely token.</param>
/// <param name="seed">Seed of the random number generator.</param>
/// <param name="topK">Number of most likely tokens to sample from; 0: all.</param>
/// <param name="topP">
/// Share of the probability of these tokens: only the fewest most likely tokens with this share, at least one, are
/// sampled (nucleus sampling; Holtzman et al., ICLR 2020). It is applied after topK, as in Hugging Face, vLLM and
/// TensorRT-LLM.
/// </param>
/// <param name="minP">
/// Tokens that are less likely than this share of the most likely one are not sampled (Nguyen et al., ICLR 2025); 0:
/// all. It is applied before topK, as in vLLM.
/// </param>
public sealed class Sampler(double temperature, ulong seed, int topK = 0, double topP = 1, double minP = 0)
{
    /// <summary>What SplitMix64 adds to its state for each number.</summary>
    private const ulong Increment = 0x9E3779B97F4A7C15;

    private readonly List<(double Weight, int Token)> likely = [];
    private readonly PriorityQueue<int, (float Logit, int Before)> most = new();
    private ulong state = seed;

    /// <summary>
    /// Returns a token sampled from softmax(logits / temperature) of the permitted tokens. Of several tokens with equal
    /// logits, the first one is ranked higher.
    /// </summary>
    public int Next(ReadOnlySpan<float> logits)
    {
        var best = TensorPrimitives.IndexOfMax(logits);
        if (temperature <= 0 || topK == 1) return best;

        var top = logits[best];
        var some = topK > 0 && topK < logits.Length;
        if (some || topP < 1) return Draw(some ? SelectTopK(logits, top) : SelectTopP(logits, top));

        double sum = 0;
        foreach (var logit in logits) sum += Weight(logit, top);
        var left = Uniform() * sum;
        for (var i = 0; i < logits.Length; i++)
        {
            left -= Weight(logits[i], top);
            if (left < 0) return i;
        }

        return best;
    }

    /// <summary>
    /// Skips the random numbers of tokens that were sampled elsewhere, so that the next token is sampled with the same
    /// number as there. Each token uses one number, and the state of the generator is a sum.
    /// </summary>
    /// <param name="tokens">Number of tokens.</param>
    public void Skip(int tokens) => state += unchecked((ulong)tokens * Increment);

    /// <summary>Returns the weight of a token, relative to that of the most likely one.</summary>
    private double Weight(float logit, float top) =>
        Math.Exp((logit - top) / temperature) is var weight && weight < minP ? 0 : weight;

    /// <summary>Collects the topK most likely tokens, and returns the sum of their weights.</summary>
    private double SelectTopK(ReadOnlySpan<float> logits, float top)
    {
        most.Clear();
        for (var i = 0; i < logits.Length; i++)
            if (most.Count < topK)
                most.Enqueue(i, (logits[i], -i));
            else if (most.TryPeek(out _, out var least) && logits[i] > least.Logit)
                most.EnqueueDequeue(i, (logits[i], -i));
        likely.Clear();
        double sum = 0;
        foreach (var (token, _) in most.UnorderedItems)
        {
            likely.Add((Weight(logits[token], top), token));
            sum += likely[^1].Weight;
        }

        return sum;
    }

    /// <summary>
    /// Collects the tokens that can be part of the topP share, and returns the sum of all weights. A token is omitted
    /// if its weight is below the remaining share divided by the number of tokens: all omitted tokens together are
    /// then less than the remaining share. Therefore only few tokens must be sorted.
    /// </summary>
    private double SelectTopP(ReadOnlySpan<float> logits, float top)
    {
        double sum = 0;
        foreach (var logit in logits) sum += Weight(logit, top);
        var least = (1 - topP) * sum / logits.Length;
        likely.Clear();
        for (var i = 0; i < logits.Length; i++)
            if (Weight(logits[i], top) is var weight && !(weight < least)) likely.Add((weight, i));
        return sum;
    }

    /// <summary>Samples from the fewest most likely collected tokens that have the topP share of the sum.</summary>
    private int Draw(double sum)
    {
        likely.Sort(static (a, b) => a.Weight != b.Weight ? b.Weight.CompareTo(a.Weight) : a.Token.CompareTo(b.Token));
        var (count, share) = (0, 0.0);
        do share += likely[count++].Weight;
        while (count < likely.Count && share < topP * sum);
        var left = Uniform() * share;
        for (var i = 0; i < count; i++)
        {
            left -= likely[i].Weight;
            if (left < 0) return likely[i].Token;
        }

        return likely[0].Token;
    }

    /// <summary>Returns the upper 53 bits of SplitMix64 (Steele, Lea, Flood 2014) as a number from 0 to 1.</summary>
    private double Uniform()
    {
        state += Increment;
        var z = state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return ((z ^ (z >> 31)) >> 11) * (1.0 / (1UL << 53));
    }
}
