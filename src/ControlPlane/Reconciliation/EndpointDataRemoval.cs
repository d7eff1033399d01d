using Sluice.ControlPlane.Leadership;
using Sluice.Storage.Catalog;
using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>
/// Removes the stored data of deleted endpoints, in two phases. Only the reconciler's loop uses it.
/// </summary>
internal sealed class EndpointDataRemoval(
    EndpointDeletions deletions,
    PodStore store,
    ScalingDecisionLog decisions,
    GpuStore gpus,
    TimeProvider time)
{
    /// <summary>Endpoint -> its deletion, and when the first phase of the removal was done.</summary>
    private readonly Dictionary<string, (string Deletion, DateTimeOffset At)> removed = [];

    /// <summary>Returns the deleted endpoints that do not wait for their second phase.</summary>
    /// <param name="deleted">Deleted endpoint -> the token of its deletion.</param>
    public IEnumerable<string> SelectDue(IReadOnlyDictionary<string, string> deleted)
    {
        foreach (var (endpoint, done) in removed.ToList())
            if (deleted.GetValueOrDefault(endpoint) != done.Deletion) removed.Remove(endpoint);
        var now = time.GetUtcNow();
        return deleted.Keys.Where(e => !removed.TryGetValue(e, out var done) || now - done.At >= deletions.LateAfter);
    }

    /// <summary>
    /// Removes the endpoint's data: everything in the first call, and in one later call what other gateways, which did
    /// not know of the deletion yet, have stored since.
    /// </summary>
    public async Task RemoveAsync(string endpointId, string deletion, CancellationToken ct)
    {
        var isLate = removed.TryGetValue(endpointId, out var done) && done.Deletion == deletion;
        if (isLate && time.GetUtcNow() - done.At < deletions.LateAfter) return;
        await deletions.ForgetAsync(endpointId, deletion, isLate ? ForgetPhase.Late : ForgetPhase.First, ct);
        await store.RemoveEndpointAsync(endpointId, ct);
        await decisions.ForgetAsync(endpointId, ct);
        await gpus.SetWaitAsync(endpointId, null, ct);
        if (isLate) await deletions.CompleteAsync(endpointId, deletion, ct);
        else removed[endpointId] = (deletion, time.GetUtcNow());
    }
}
