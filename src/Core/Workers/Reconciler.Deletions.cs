using Microsoft.Extensions.Logging;
using Sluice.Core.Endpoints;
using Sluice.Core.Jobs;

namespace Sluice.Core.Workers;

/// <summary>The leader's part for endpoints that are declared no more: cancel their jobs, drain their workers, then remove what is stored of them.</summary>
public sealed partial class Reconciler
{
    private readonly EndpointDeletions deletions;

    /// <summary>Deletions whose jobs this leader has cancelled.</summary>
    private readonly HashSet<string> cancelled = [];

    /// <summary>Endpoint -> its deletion, and when its first phase was done.</summary>
    private readonly Dictionary<string, (string Deletion, DateTimeOffset At)> forgotten = [];

    private IReadOnlyDictionary<string, string> deleted = new Dictionary<string, string>();

    /// <summary>Deleted endpoints that are to be looked at now. Also those that never had a worker: nothing else knows of them.</summary>
    private async Task<IEnumerable<string>> DeletedAsync(CancellationToken ct)
    {
        deleted = await deletions.ListAsync(ct);
        cancelled.IntersectWith(deleted.Values);
        foreach (var (endpoint, done) in forgotten.ToList())
            if (deleted.GetValueOrDefault(endpoint) != done.Deletion) forgotten.Remove(endpoint);
        var now = time.GetUtcNow();
        return deleted.Keys.Where(e => !forgotten.TryGetValue(e, out var done) || now - done.At >= deletions.LateAfter);
    }

    private async Task DissolveAsync(string endpointId, FleetLook look, long epoch, CancellationToken ct)
    {
        // Not on what this gateway happens to know: an endpoint that was declared just now has requests and jobs already.
        await catalog.RefreshAsync(ct);
        if (catalog.Current.Find(endpointId) is not null || catalog.State.IsLost) return;
        keepers.TryRemove(endpointId, out _);
        deadBefore.Remove(endpointId);
        await gpus.SettleAsync(endpointId, look.Pods, ct);
        gpus.Withdraw(endpointId);
        // A deletion by an earlier build has no token.
        var deletion = deleted.GetValueOrDefault(endpointId) ?? Fence.NewToken();
        if (cancelled.Add(deletion) && await deletions.CancelAsync(endpointId, ct) is { All: > 0 } jobs) JobsCancelled(endpointId, jobs.Queued, jobs.Running);
        if (look.Pods.All(p => p.State == PodState.Failed))
        {
            await ForgetAsync(endpointId, deletion, ct);
            return;
        }

        string[] left = [.. look.Pods.Select(p => p.Id).Where(p => !look.Drain.Contains(p))];
        if (left.Length > 0 && await store.OrderAsync(endpointId, epoch, left, [], ct)) Wake(endpointId);
    }

    /// <summary>At the first look all that there is; later, once, what gateways that did not know of the deletion yet have stored since.</summary>
    private async Task ForgetAsync(string endpointId, string deletion, CancellationToken ct)
    {
        var isLate = forgotten.TryGetValue(endpointId, out var done) && done.Deletion == deletion;
        if (isLate && time.GetUtcNow() - done.At < deletions.LateAfter) return;
        await deletions.ForgetAsync(endpointId, deletion, isLate ? ForgetPhase.Late : ForgetPhase.First, ct);
        await store.ForgetEndpointAsync(endpointId, ct);
        await decisions.ForgetAsync(endpointId, ct);
        await gpuStore.SetWaitAsync(endpointId, null, ct);
        if (isLate) await deletions.CompleteAsync(endpointId, deletion, ct);
        else forgotten[endpointId] = (deletion, time.GetUtcNow());
    }

    [LoggerMessage(LogLevel.Warning, "Endpoint {Endpoint} is deleted: {Queued} queued and {Running} running jobs were cancelled")]
    private partial void JobsCancelled(string endpoint, long queued, long running);
}
