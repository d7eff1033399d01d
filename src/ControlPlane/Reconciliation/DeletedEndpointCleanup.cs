using Microsoft.Extensions.Logging;
using Sluice.ControlPlane.Leadership;
using Sluice.Domain.Fleet;
using Sluice.Domain.Jobs;
using Sluice.Storage.Catalog;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>
/// Cleans up deleted endpoints in steps: cancels their jobs, drains their workers, and then removes their stored data.
/// Only the reconciler's loop uses it.
/// </summary>
internal sealed partial class DeletedEndpointCleanup(
    EndpointDeletions deletions,
    EndpointDataRemoval data,
    LeaderOrders orders,
    ILogger<DeletedEndpointCleanup> logger)
{
    private readonly ILogger<DeletedEndpointCleanup> logger = logger;

    /// <summary>Deletions whose jobs this leader has cancelled.</summary>
    private readonly HashSet<string> cancelled = [];

    /// <summary>Deleted endpoint -> the token of its deletion.</summary>
    private IReadOnlyDictionary<string, string> deleted = new Dictionary<string, string>();

    /// <summary>
    /// Returns the deleted endpoints to process now. They include those that never had a worker, which are listed
    /// nowhere else.
    /// </summary>
    public async Task<IEnumerable<string>> ListAsync(CancellationToken ct)
    {
        deleted = await deletions.ListAsync(ct);
        cancelled.IntersectWith(deleted.Values);
        return data.SelectDue(deleted);
    }

    /// <summary>Takes the next step for an endpoint.</summary>
    public async Task AdvanceAsync(EndpointObservation observed, CancellationToken ct)
    {
        var (id, fleet) = (observed.EndpointId, observed.Fleet);
        // A deletion by an earlier build has no token.
        var deletion = deleted.GetValueOrDefault(id) ?? Fence.NewToken();
        if (cancelled.Add(deletion) && await deletions.CancelAsync(id, ct) is { All: > 0 } jobs)
            JobsCancelled(id, jobs.Queued, jobs.Running);
        if (fleet.Pods.All(p => p.State == PodState.Failed))
        {
            await data.RemoveAsync(id, deletion, ct);
            return;
        }

        string[] left = [.. fleet.Pods.Select(p => p.Id).Where(p => !fleet.Drain.Contains(p))];
        if (left.Length > 0) await orders.DrainAsync(id, observed.Epoch, left, [], ct);
    }

    [LoggerMessage(LogLevel.Warning,
        "Endpoint {Endpoint} deleted: {Queued} queued and {Running} running jobs were cancelled")]
    private partial void JobsCancelled(string endpoint, long queued, long running);
}
