using Sluice.Domain.Fleet;

namespace Sluice.ControlPlane.Pods;

/// <summary>
/// Reconciles this host's pods with the state in Redis: restores lost records, and drains, resumes, probes and stops
/// pods.
/// </summary>
internal sealed class PodReconciliation(
    ManagedPods pods,
    PodAdoption adoption,
    PodOutputStore output,
    PodStateReconciliation states)
{
    /// <summary>Whether this host has pods of an endpoint.</summary>
    public bool HasPodsOf(string endpointId) => pods.HasPodsOf(endpointId);

    /// <summary>
    /// Reconciles this host's pods of one endpoint with the leader's orders and with dispatch. <paramref
    /// name="snapshot"/> and <paramref name="fleet"/> must be newer than the last call, and <paramref name="fleet"/>
    /// newer than the last start.
    /// </summary>
    /// <param name="endpointId">The endpoint's id.</param>
    /// <param name="max">
    /// Largest number of pods of the endpoint. A pod without a record gets one again within this limit, and is stopped
    /// otherwise.
    /// </param>
    /// <param name="snapshot">The endpoint's dispatch state.</param>
    /// <param name="fleet">The endpoint's pods and drain orders.</param>
    /// <param name="ct">Cancels the call; the pods are not affected.</param>
    /// <returns>
    /// Whether pods were found that <paramref name="fleet"/> does not contain. The leader must then read the state
    /// again before it decides.
    /// </returns>
    public async Task<bool> ReconcileAsync(
        string endpointId,
        int max,
        EndpointSnapshot snapshot,
        FleetSnapshot fleet,
        CancellationToken ct)
    {
        var found = await adoption.RemoveStaleRecordsAsync(endpointId, fleet, ct);
        await output.StoreAsync(endpointId, ct);
        foreach (var pod in pods.All.Where(p => p.EndpointId == endpointId))
            found |= await states.ReconcileAsync(pod, max, snapshot, fleet, ct);
        return found;
    }
}
