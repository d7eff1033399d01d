namespace Sluice.Domain.Jobs;

/// <summary>The result of a submission.</summary>
/// <param name="Outcome">The outcome.</param>
/// <param name="Id">The job.</param>
/// <param name="Held">The queued jobs, or the bytes that jobs occupy, if their limit rejected the submission.</param>
public readonly record struct SubmitResult(SubmitOutcome Outcome, string Id, long Held = 0);
