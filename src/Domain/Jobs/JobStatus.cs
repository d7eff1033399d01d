namespace Sluice.Domain.Jobs;

/// <summary>The status values of jobs. The names are those of the RunPod API, whose clients compare them.</summary>
public static class JobStatus
{
    public const string Queued = "IN_QUEUE";
    public const string Running = "IN_PROGRESS";
    public const string Completed = "COMPLETED";
    public const string Failed = "FAILED";
    public const string Cancelled = "CANCELLED";
    public const string TimedOut = "TIMED_OUT";

    public static IReadOnlyList<string> All { get; } = [Queued, Running, Completed, Failed, Cancelled, TimedOut];

    /// <summary>Whether a job in this status no longer changes, unless a client retries it.</summary>
    public static bool IsFinal(string status) => status is not (Queued or Running);
}
