using Sluice.ControlPlane.Pods;
using Sluice.ControlPlane.Scheduling;
using Sluice.Storage.Catalog;
using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>Lists the endpoints of a round that covers all of them, except for those at rest.</summary>
internal sealed class RoundEndpoints(
    CatalogWatcher catalog,
    PodStore store,
    ManagedPods pods,
    DeletedEndpointCleanup cleanup,
    RestingEndpoints resting)
{
    /// <summary>
    /// Adds the endpoints that are declared, have records or have pods here, and on the leader the deleted ones.
    /// Declared endpoints at rest are not added.
    /// </summary>
    public async Task AddDueAsync(HashSet<string> endpoints, long epoch, CancellationToken ct)
    {
        var declared = catalog.Current;
        await resting.WakeDueAsync(id => declared.Find(id) is not null, ct);
        var listed = declared.Deployments.Select(d => d.Endpoint.Id).Concat(await store.EndpointsAsync(ct));
        endpoints.UnionWith(listed.Where(id => !resting.IsResting(id)));
        endpoints.UnionWith(pods.Endpoints);
        if (epoch > 0) endpoints.UnionWith(await cleanup.ListAsync(ct));
    }
}
