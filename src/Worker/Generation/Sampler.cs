namespace Sluice.Worker.Generation;

/// <summary>
/// Chooses the next token from logits. Pure but for its own random state: the same seed, temperature and logits give
/// the same tokens, on any machine.
/// </summary>
public sealed class Sampler(double temperature, ulong seed)
{
    private ulong state = seed;

    /// <summary>The most likely token at temperature 0, else one drawn from softmax(logits / temperature).</summary>
    public int Next(ReadOnlySpan<float> logits)
    {
        var best = 0;
        for (var i = 1; i < logits.Length; i++)
            if (logits[i] > logits[best]) best = i;
        if (temperature <= 0) return best;

        var top = logits[best];
        double sum = 0;
        foreach (var logit in logits) sum += Math.Exp((logit - top) / temperature);
        var left = Uniform() * sum;
        for (var i = 0; i < logits.Length; i++)
        {
            left -= Math.Exp((logits[i] - top) / temperature);
            if (left < 0) return i;
        }

        return best;
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
