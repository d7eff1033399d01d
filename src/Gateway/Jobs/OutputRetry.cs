using Sluice.Storage.Jobs;

namespace Sluice.Gateway.Jobs;

/// <summary>The next step after a failed write of an output file.</summary>
public enum OutputStep
{
    /// <summary>The write is retried after <see cref="OutputRetry.Pause"/>.</summary>
    Retry,

    /// <summary>
    /// The job returns to the queue, and the attempt does not count. Another gateway, or this gateway after a restart,
    /// runs the job again.
    /// </summary>
    Requeue,

    /// <summary>The job fails with OUTPUT_NOT_STORED.</summary>
    Fail,
}

/// <summary>
/// Decides how long writes of an output to a failing payload folder are retried. The output keeps its worker slot
/// during the retries, which limits the number of outputs in memory.
/// </summary>
public static class OutputRetry
{
    /// <summary>Time between two writes.</summary>
    public static readonly TimeSpan Pause = TimeSpan.FromSeconds(0.5);

    /// <summary>
    /// Maximum time of retries after disk errors and on a full disk. In the trial of November 2026, full disks had
    /// space again after 3 to 9 s.
    /// </summary>
    public static readonly TimeSpan DiskPatience = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Maximum time of retries if the share is unavailable. Other gateways may reach it, so the job runs there instead.
    /// </summary>
    public static readonly TimeSpan SharePatience = TimeSpan.FromSeconds(5);

    /// <summary>Returns the next step.</summary>
    /// <param name="fault">Why the last write failed.</param>
    /// <param name="waited">Time since the first write.</param>
    /// <param name="stopping">Whether the gateway is stopping and must not wait.</param>
    public static OutputStep Next(PayloadFault fault, TimeSpan waited, bool stopping)
    {
        if (stopping) return OutputStep.Requeue;
        if (fault == PayloadFault.Unavailable) return waited < SharePatience ? OutputStep.Retry : OutputStep.Requeue;
        return waited < DiskPatience ? OutputStep.Retry : OutputStep.Fail;
    }
}
