namespace Sluice.Core.Jobs;

/// <summary>What the jobs of an endpoint, and of one key (flow) at it, may occupy. Zero: no limit; only <see cref="Queued"/> is always one.</summary>
/// <param name="Queued">Jobs that wait.</param>
/// <param name="FlowQueued">Jobs of the flow that wait.</param>
/// <param name="Bytes">Bytes in Redis.</param>
/// <param name="FlowBytes">Bytes of the flow's jobs in Redis.</param>
public readonly record struct JobLimits(int Queued, int FlowQueued, long Bytes, long FlowBytes)
{
    /// <summary>Which limit is reached already; null: none.</summary>
    /// <param name="queued">Jobs that wait now.</param>
    /// <param name="flowQueued">Jobs of the flow that wait now.</param>
    /// <param name="bytes">Bytes that jobs occupy now.</param>
    /// <param name="flowBytes">Bytes that jobs of the flow occupy now.</param>
    public SubmitResult? Reached(long queued, long flowQueued, long bytes, long flowBytes) =>
        queued >= Queued ? new SubmitResult(SubmitOutcome.QueueFull, "", queued)
        : FlowQueued > 0 && flowQueued >= FlowQueued ? new SubmitResult(SubmitOutcome.FlowFull, "", flowQueued)
        : Bytes > 0 && bytes >= Bytes ? new SubmitResult(SubmitOutcome.BytesFull, "", bytes)
        : FlowBytes > 0 && flowBytes >= FlowBytes ? new SubmitResult(SubmitOutcome.FlowBytesFull, "", flowBytes)
        : null;
}
