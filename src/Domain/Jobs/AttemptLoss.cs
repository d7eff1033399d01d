namespace Sluice.Domain.Jobs;

/// <summary>
/// What was lost with an attempt that produced no result. It determines whether the attempt counts against the limit of
/// the job (<c>jobs.maxRuns</c>), and whether the job is isolated: from then on it runs only on workers without other
/// work. The rule is in <c>requeue.part.lua</c>.
/// </summary>
public enum AttemptLoss
{
    /// <summary>
    /// Nothing that the job affected: it did not reach the worker, or the gateway stops. It does not count.
    /// </summary>
    Free,

    /// <summary>The handler failed, or the worker runs one job at a time. It counts.</summary>
    Counted,

    /// <summary>The worker, which had no other work. It counts, and isolates the job.</summary>
    Alone,

    /// <summary>
    /// The worker, which had other work. It isolates the job, and counts only if the job is isolated already or may run
    /// only once.
    /// </summary>
    Shared,
}
