using Sluice.Core.Endpoints;

namespace Sluice.Core.Jobs;

/// <summary>How many bytes the jobs of an endpoint may occupy in Redis after a part of a stream was stored.</summary>
/// <param name="AllJobs">All jobs of the endpoint; 0: no limit.</param>
/// <param name="FlowJobs">The jobs of the same key; 0: no limit.</param>
public readonly record struct StreamRoom(long AllJobs, long FlowJobs)
{
    /// <summary>
    /// The streams of accepted jobs may use as much again as <c>jobs.maxBytes</c>, at which new jobs are refused: an accepted job fails only where
    /// its endpoint's jobs occupy twice of what they may.
    /// </summary>
    public static StreamRoom Of(JobPolicy policy) => new(2 * policy.MaxBytes, 2 * policy.MaxKeyBytes);
}
