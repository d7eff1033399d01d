using Sluice.Domain.Jobs;
using Sluice.Domain.Usage;
using Sluice.Storage.Jobs;

namespace Sluice.Dispatch;

/// <summary>Stores the output of an attempt that this gateway runs.</summary>
public static class JobCompletion
{
    /// <summary>
    /// Stores the only result of an attempt and releases its slot. <see cref="EndResult.Ended"/> is false when the job
    /// already has a result or when another attempt runs it.
    /// </summary>
    /// <param name="store">Stores the output.</param>
    /// <param name="grant">The attempt.</param>
    /// <param name="output">JSON.</param>
    /// <param name="ran">The trace that the worker reported.</param>
    /// <param name="ct">Stops waiting.</param>
    /// <param name="maxBytes">The endpoint's limit <c>jobs.maxBytes</c>; 0: no limit.</param>
    /// <param name="used">What the attempt used, for the ledger.</param>
    public static Task<EndResult> CompleteAsync(this JobStore store, JobGrant grant, ReadOnlyMemory<byte> output,
        RunTrace ran, CancellationToken ct, long maxBytes = 0, WorkUsage used = default) =>
        store.CompleteAsync(grant.EndpointId, grant.Claim, grant.EndAsync, output, ran, ct, maxBytes, used);
}
