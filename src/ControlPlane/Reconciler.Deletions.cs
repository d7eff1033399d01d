using Microsoft.Extensions.Logging;
using Sluice.Domain.Fleet;
using Sluice.Domain.Jobs;
using Sluice.Storage.Catalog;

namespace Sluice.ControlPlane;

/// <summary>
/// The leader's work for deleted endpoints: cancel their jobs, drain their workers, and then remove their stored data.
/// </summary>
public sealed partial class Reconciler
{
    private readonly EndpointDeletions deletions;

    /// <summary>Deletions whose jobs this leader has cancelled.</summary>
    private readonly HashSet<string> cancelled = [];

    /// <summary>Endpoint -> its deletion, and when the first phase of the removal was done.</summary>
    private readonly Dictionary<string, (string Deletion, DateTimeOffset At)> forgotten = [];

    private IReadOnlyDictionary<string, string> deleted = new Dictionary<string, string>();

    /// <summary>
    /// Returns the deleted endpoints to process now. They include those that never had a worker, which are listed
    /// nowhere else.
    /// </summary>
    private async Task<IEnumerable<string>> DeletedAsync(CancellationToken ct)
    {
        deleted = await deletions.ListAsync(ct);
        cancelled.IntersectWith(deleted.Values);
        foreach (var (endpoint, done) in forgotten.ToList())
            if (deleted.GetValueOrDefault(endpoint) != done.Deletion) forgotten.Remove(endpoint);
        var now = time.GetUtcNow();
        return deleted.Keys.Where(e => !forgotten.TryGetValue(e, out var done) || now - done.At >= deletions.LateAfter);
    }

    private async Task RemoveEndpointAsync(string endpointId, FleetSnapshot look, long epoch, CancellationToken ct)
    {
        // This gateway's catalog may be outdated: an endpoint that was declared just now already has requests and jobs.
        await catalog.RefreshAsync(ct);
        if (catalog.Current.Find(endpointId) is not null || catalog.State.IsLost) return;
        keepers.TryRemove(endpointId, out _);
        deadBefore.Remove(endpointId);
        await gpus.ReconcileClaimsAsync(endpointId, look.Pods, ct);
        gpus.CancelRequest(endpointId);
        // A deletion by an earlier build has no token.
        var deletion = deleted.GetValueOrDefault(endpointId) ?? Fence.NewToken();
        if (cancelled.Add(deletion) && await deletions.CancelAsync(endpointId, ct) is { All: > 0 } jobs)
            JobsCancelled(endpointId, jobs.Queued, jobs.Running);
        if (look.Pods.All(p => p.State == PodState.Failed))
        {
            await ForgetAsync(endpointId, deletion, ct);
            return;
        }

        string[] left = [.. look.Pods.Select(p => p.Id).Where(p => !look.Drain.Contains(p))];
        if (left.Length > 0 && await store.SetDrainAsync(endpointId, epoch, left, [], ct)) Wake(endpointId);
    }

    /// <summary>
    /// Removes the endpoint's data: everything in the first call, and in one later call what other gateways, which did
    /// not know of the deletion yet, have stored since.
    /// </summary>
    private async Task ForgetAsync(string endpointId, string deletion, CancellationToken ct)
    {
        var isLate = forgotten.TryGetValue(endpointId, out var done) && done.Deletion == deletion;
        if (isLate && time.GetUtcNow() - done.At < deletions.LateAfter) return;
        await deletions.ForgetAsync(endpointId, deletion, isLate ? ForgetPhase.Late : ForgetPhase.First, ct);
        await store.RemoveEndpointAsync(endpointId, ct);
        await decisions.ForgetAsync(endpointId, ct);
        await gpuStore.SetWaitAsync(endpointId, null, ct);
        if (isLate) await deletions.CompleteAsync(endpointId, deletion, ct);
        else forgotten[endpointId] = (deletion, time.GetUtcNow());
    }

    [LoggerMessage(LogLevel.Warning,
        "Endpoint {Endpoint} deleted: {Queued} queued and {Running} running jobs were cancelled")]
    private partial void JobsCancelled(string endpoint, long queued, long running);
}
