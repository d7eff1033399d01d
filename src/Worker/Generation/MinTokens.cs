namespace Sluice.Worker.Generation;

/// <summary>Forbids the token that ends the text until a minimum number of tokens was generated.</summary>
/// <param name="minimum">The minimum number of generated tokens.</param>
/// <param name="endOfText">The token that ends the text.</param>
public sealed class MinTokens(int minimum, int endOfText) : ILogitsProcessor
{
    public void Process(Span<float> logits, ReadOnlySpan<int> generated)
    {
        if (generated.Length < minimum) logits[endOfText] = float.NegativeInfinity;
    }
}
