namespace Sluice.Domain.Jobs;

/// <summary>
/// The limits for the jobs of an endpoint, and for the jobs of one key (flow) at it. Zero: no limit; only
/// <see cref="Queued"/> always applies.
/// </summary>
/// <param name="Queued">The queued jobs of the endpoint.</param>
/// <param name="FlowQueued">The queued jobs of the flow.</param>
/// <param name="Bytes">The bytes that the jobs of the endpoint occupy in Redis.</param>
/// <param name="FlowBytes">The bytes that the jobs of the flow occupy in Redis.</param>
public readonly record struct JobLimits(int Queued, int FlowQueued, long Bytes, long FlowBytes)
{
    /// <summary>Returns the limit that is reached already; null: none.</summary>
    /// <param name="queued">The current number of queued jobs.</param>
    /// <param name="flowQueued">The current number of queued jobs of the flow.</param>
    /// <param name="bytes">The bytes that jobs currently occupy.</param>
    /// <param name="flowBytes">The bytes that jobs of the flow currently occupy.</param>
    public SubmitResult? Reached(long queued, long flowQueued, long bytes, long flowBytes) =>
        queued >= Queued ? new SubmitResult(SubmitOutcome.QueueFull, "", queued)
        : FlowQueued > 0 && flowQueued >= FlowQueued ? new SubmitResult(SubmitOutcome.FlowFull, "", flowQueued)
        : Bytes > 0 && bytes >= Bytes ? new SubmitResult(SubmitOutcome.BytesFull, "", bytes)
        : FlowBytes > 0 && flowBytes >= FlowBytes ? new SubmitResult(SubmitOutcome.FlowBytesFull, "", flowBytes)
        : null;
}
