using Sluice.Worker.Generation.Constraints.Masks;

namespace Sluice.Worker.Generation.Constraints;

/// <summary>Forbids all tokens that a constraint does not allow.</summary>
/// <param name="matcher">Follows the text.</param>
/// <param name="maxTokens">The number of tokens that are generated at most; null: unknown.</param>
internal sealed class ConstraintProcessor(TextMatcher matcher, int? maxTokens) : ILogitsProcessor
{
    private int read;

    public void Process(Span<float> logits, ReadOnlySpan<int> generated)
    {
        for (; read < generated.Length; read++) matcher.Read(generated[read]);
        var left = maxTokens is { } most ? most - generated.Length : int.MaxValue;
        var mask = matcher.FindTokens(left);
        var ends = matcher.EndTokens;
        // A vocabulary without a token for each byte may allow none.
        var canEnd = matcher.IsComplete || mask.IsEmpty;
        Span<float> kept = stackalloc float[Math.Min(ends.Count, 64)];
        if (canEnd)
            for (var i = 0; i < kept.Length; i++)
                kept[i] = logits[ends[i]];
        mask.Apply(logits);
        if (canEnd)
            for (var i = 0; i < kept.Length; i++)
                logits[ends[i]] = kept[i];
    }
}
