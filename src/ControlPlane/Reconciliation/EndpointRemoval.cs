using Sluice.ControlPlane.Gpus;
using Sluice.ControlPlane.Leadership;
using Sluice.Storage.Catalog;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>The leader's work for an endpoint that is not declared: discard its state, and then clean up.</summary>
internal sealed class EndpointRemoval(
    CatalogWatcher catalog,
    EndpointReconcileStates states,
    LostPodRemoval lostPods,
    GpuRequests devices,
    DeletedEndpointCleanup cleanup)
{
    public async Task RemoveAsync(EndpointObservation observed, CancellationToken ct)
    {
        var id = observed.EndpointId;
        // This gateway's catalog may be outdated: an endpoint that was declared just now already has requests and jobs.
        await catalog.RefreshAsync(ct);
        if (catalog.Current.Find(id) is not null || catalog.State.IsLost) return;
        states.Remove(id);
        lostPods.Forget(id);
        await devices.CancelAsync(id, observed.Fleet.Pods, ct);
        await cleanup.AdvanceAsync(observed, ct);
    }
}
