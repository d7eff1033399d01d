using Sluice.ControlPlane.Pods;
using Sluice.Storage.Catalog;
using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>Lists the endpoints of a round that covers all of them.</summary>
internal sealed class RoundEndpoints(
    CatalogWatcher catalog,
    PodStore store,
    ManagedPods pods,
    DeletedEndpointCleanup cleanup)
{
    /// <summary>
    /// Adds the endpoints that are declared, have records or have pods here, and on the leader the deleted ones.
    /// </summary>
    public async Task AddAllAsync(HashSet<string> endpoints, long epoch, CancellationToken ct)
    {
        endpoints.UnionWith(catalog.Current.Deployments.Select(d => d.Endpoint.Id));
        endpoints.UnionWith(await store.EndpointsAsync(ct));
        endpoints.UnionWith(pods.Endpoints);
        if (epoch > 0) endpoints.UnionWith(await cleanup.ListAsync(ct));
    }
}
