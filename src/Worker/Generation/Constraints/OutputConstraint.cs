using Sluice.Worker.Generation.Constraints.Masks;

namespace Sluice.Worker.Generation.Constraints;

/// <summary>What a generated text must be. Thread-safe: one for all texts with the same schema.</summary>
public sealed class OutputConstraint
{
    private readonly MaskSource masks;

    internal OutputConstraint(MaskSource masks) => this.masks = masks;

    /// <summary>Returns the processor for one text.</summary>
    /// <param name="maxTokens">
    /// The number of tokens that are generated at most, the end included; null: unknown. When only as many are left as
    /// the end of the text can need, the shortest end is generated, so that the text is valid.
    /// </param>
    public ILogitsProcessor CreateProcessor(int? maxTokens = null) =>
        new ConstraintProcessor(CreateMatcher(), maxTokens);

    /// <summary>Returns a matcher for one text.</summary>
    internal TextMatcher CreateMatcher() => new(masks);
}
