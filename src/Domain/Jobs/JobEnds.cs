namespace Sluice.Domain.Jobs;

/// <summary>Errors of jobs that are detected in several places.</summary>
public static class JobEnds
{
    public static JobError WaitedTooLong { get; } =
        new(JobErrors.Expired, "the job was queued longer than its ttl", true);
}
