namespace Sluice.Domain.Batches;

/// <summary>Decides what the run of a batch does next. Pure.</summary>
public static class BatchPlan
{
    /// <summary>Returns the next step.</summary>
    /// <param name="status">The status of the batch.</param>
    /// <param name="now">The time, by the clock that set <paramref name="expires"/>.</param>
    /// <param name="expires">When the completion window ends.</param>
    public static BatchStep Next(string status, DateTimeOffset now, DateTimeOffset expires) => status switch
    {
        BatchStatus.Cancelling => BatchStep.Cancel,
        // All lines have ended, so the window does not matter any more.
        BatchStatus.Finalizing => BatchStep.Complete,
        BatchStatus.Validating or BatchStatus.InProgress when now >= expires => BatchStep.Expire,
        BatchStatus.Validating => BatchStep.Validate,
        BatchStatus.InProgress => BatchStep.Run,
        _ => BatchStep.Stop,
    };

    /// <summary>Returns whether a line is in the output.</summary>
    /// <param name="done">The bitmap of Redis: bit n is the n-th bit, from the highest bit of the first byte.</param>
    /// <param name="line">The line, from 1.</param>
    public static bool IsDone(ReadOnlySpan<byte> done, int line) =>
        line / 8 < done.Length && (done[line / 8] & (0x80 >> (line % 8))) != 0;
}
