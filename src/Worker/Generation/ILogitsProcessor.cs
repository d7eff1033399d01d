namespace Sluice.Worker.Generation;

/// <summary>Changes the logits of one sequence before a token is sampled. Not shared between sequences.</summary>
public interface ILogitsProcessor
{
    /// <summary>Changes the logits in place. Negative infinity forbids a token.</summary>
    /// <param name="logits">The logits of the next token, one per token of the vocabulary.</param>
    /// <param name="generated">The tokens that were generated so far, without the prompt.</param>
    void Process(Span<float> logits, ReadOnlySpan<int> generated);
}
