namespace Sluice.Worker.Generation;

/// <summary>Adds a number to the logits of some tokens (as in OpenAI's API).</summary>
/// <param name="biases">Token and number. Tokens that the vocabulary does not have are ignored.</param>
public sealed class LogitBias(IReadOnlyDictionary<int, float> biases) : ILogitsProcessor
{
    public void Process(Span<float> logits, ReadOnlySpan<int> generated)
    {
        foreach (var (token, bias) in biases)
            if (token < logits.Length) logits[token] += bias;
    }
}
