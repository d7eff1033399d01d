namespace Sluice.Dispatch;

/// <summary>Runs the jobs that dispatch claims.</summary>
public interface IJobRunner
{
    /// <summary>Starts an attempt and returns immediately.</summary>
    void Start(JobGrant grant);

    /// <summary>Whether jobs may be claimed now. Jobs that were claimed before are started in any case.</summary>
    bool TakesJobs => true;
}
