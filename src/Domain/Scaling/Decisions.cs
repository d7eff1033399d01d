namespace Sluice.Domain.Scaling;

/// <summary>The stored decisions of an endpoint.</summary>
/// <param name="Latest">The latest stored decision, with or without a change; null if there is none.</param>
/// <param name="Changes">Decisions that changed something, newest first.</param>
public sealed record Decisions(ScalingDecisionRecord? Latest, IReadOnlyList<ScalingDecisionRecord> Changes);
