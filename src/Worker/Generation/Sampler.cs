namespace Sluice.Worker.Generation;

/// <summary>
/// Chooses the next token from logits. Pure but for its own random state: the same seed, parameters and logits give
/// the same tokens, on any machine.
/// </summary>
/// <param name="temperature">0: the most likely token; else logits are divided by it.</param>
/// <param name="seed">Of the random choice.</param>
/// <param name="topK">Only so many of the most likely tokens may be chosen; 0: all.</param>
/// <param name="topP">Of those, only the fewest most likely ones that together have this share of their probability, at least one
/// (nucleus sampling; Holtzman et al., ICLR 2020): the order in which Hugging Face, vLLM and TensorRT-LLM apply the two.</param>
public sealed class Sampler(double temperature, ulong seed, int topK = 0, double topP = 1)
{
    private readonly List<(double Weight, int Token)> likely = [];
    private readonly PriorityQueue<int, (float Logit, int Before)> most = new();
    private ulong state = seed;

    /// <summary>One drawn from softmax(logits / temperature) of the tokens that may be chosen. Of equals the first is the more likely one.</summary>
    public int Next(ReadOnlySpan<float> logits)
    {
        var best = 0;
        for (var i = 1; i < logits.Length; i++)
            if (logits[i] > logits[best]) best = i;
        if (temperature <= 0 || topK == 1) return best;

        var top = logits[best];
        var some = topK > 0 && topK < logits.Length;
        if (some || topP < 1) return Draw(some ? Most(logits, top) : Nucleus(logits, top));

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

    private double Weight(float logit, float top) => Math.Exp((logit - top) / temperature);

    /// <summary>Gathers the most likely tokens; returns the sum of their weights.</summary>
    private double Most(ReadOnlySpan<float> logits, float top)
    {
        most.Clear();
        for (var i = 0; i < logits.Length; i++)
            if (most.Count < topK) most.Enqueue(i, (logits[i], -i));
            else if (most.TryPeek(out _, out var least) && logits[i] > least.Logit) most.EnqueueDequeue(i, (logits[i], -i));
        likely.Clear();
        double sum = 0;
        foreach (var (token, _) in most.UnorderedItems)
        {
            likely.Add((Weight(logits[token], top), token));
            sum += likely[^1].Weight;
        }

        return sum;
    }

    /// <summary>Gathers the tokens that may be needed for the share of probability; returns the sum of all weights. Those left out, each below the rest's
    /// share divided by their number, are together less than the rest: so few need be sorted.</summary>
    private double Nucleus(ReadOnlySpan<float> logits, float top)
    {
        double sum = 0;
        foreach (var logit in logits) sum += Weight(logit, top);
        var least = (1 - topP) * sum / logits.Length;
        likely.Clear();
        for (var i = 0; i < logits.Length; i++)
            if (Weight(logits[i], top) is var weight && !(weight < least)) likely.Add((weight, i));
        return sum;
    }

    /// <summary>Draws from the fewest most likely of those gathered that have the share of the sum.</summary>
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

    /// <summary>SplitMix64 (Steele, Lea, Flood 2014), its upper 53 bits.</summary>
    private double Uniform()
    {
        state += 0x9E3779B97F4A7C15;
        var z = state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return ((z ^ (z >> 31)) >> 11) * (1.0 / (1UL << 53));
    }
}
