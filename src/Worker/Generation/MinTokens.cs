namespace Sluice.Worker.Generation;

/// <summary>Forbids the tokens that end the text until a minimum number of tokens was generated.</summary>
/// <param name="minimum">The minimum number of generated tokens.</param>
/// <param name="endTokens">The tokens that end the text.</param>
public sealed class MinTokens(int minimum, IReadOnlyList<int> endTokens) : ILogitsProcessor
{
    public void Process(Span<float> logits, ReadOnlySpan<int> generated)
    {
        if (generated.Length >= minimum) return;
        foreach (var token in endTokens) logits[token] = float.NegativeInfinity;
    }
}
