using Sluice.Domain.Declarations;

namespace Sluice.Domain.Jobs;

/// <summary>The bytes that the jobs of an endpoint may occupy in Redis after a part of a stream is stored.</summary>
/// <param name="AllJobs">All jobs of the endpoint; 0: no limit.</param>
/// <param name="FlowJobs">The jobs of the same key; 0: no limit.</param>
public readonly record struct StreamCapacity(long AllJobs, long FlowJobs)
{
    /// <summary>
    /// Returns the limits for streams of accepted jobs: twice <c>jobs.maxBytes</c>, at which new jobs are rejected. An
    /// accepted job fails only if the jobs of its endpoint occupy twice their limit.
    /// </summary>
    public static StreamCapacity ForPolicy(JobPolicy policy) => new(2 * policy.MaxBytes, 2 * policy.MaxKeyBytes);
}
