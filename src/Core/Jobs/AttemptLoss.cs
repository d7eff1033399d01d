namespace Sluice.Core.Jobs;

/// <summary>What an attempt without a result lost. It says whether the attempt counts against the job's limit (<c>jobs.maxRuns</c>), and whether the
/// job is isolated: from then on it runs only where no other work runs. The rule is in <c>requeue.part.lua</c>.</summary>
public enum AttemptLoss
{
    /// <summary>Nothing of the job's own: the worker did not see it, or the gateway stops. It does not count.</summary>
    Free,

    /// <summary>The handler failed, or the worker takes one job at a time. It counts.</summary>
    Counted,

    /// <summary>The worker, with no other work on it. It counts, and isolates the job.</summary>
    Alone,

    /// <summary>The worker, with other work on it. It isolates the job, and counts only for a job that is isolated already or may run once only.</summary>
    Shared,
}
