using Sluice.Domain.Jobs;

namespace Sluice.Storage.Jobs;

/// <summary>A page of a list of jobs.</summary>
/// <param name="Jobs">The jobs, without their outputs.</param>
/// <param name="Next">The offset of the next page; null: there are no more jobs.</param>
public sealed record JobPage(IReadOnlyList<Job> Jobs, int? Next);

/// <summary>The number of jobs of an endpoint, current and past, by state.</summary>
public sealed record JobCounts(
    long Queued,
    long Running,
    long Completed,
    long Failed,
    long Cancelled,
    long TimedOut,
    long Retried);
