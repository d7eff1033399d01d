using Sluice.ControlPlane.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Hosting;
using Sluice.Storage.Catalog;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>
/// Passes the current declarations to the host; see <see cref="IPodHost.Prepare"/>. Only the reconciler's loop uses it.
/// </summary>
internal sealed class StartPreparation(IPodHost podHost, FleetNodes nodes, CatalogWatcher catalog)
{
    private static readonly IReadOnlyList<Deployment> None = [];

    private EndpointCatalog? listedOf;
    private IReadOnlyList<Deployment> listed = None;

    /// <summary>Prepares the starts of the leader, and of a node on which other leaders start workers.</summary>
    /// <param name="epoch">The epoch of the round; 0: this gateway does not lead.</param>
    /// <param name="ct">Cancels the call.</param>
    public Task PrepareAsync(long epoch, CancellationToken ct)
    {
        // The list stays the same until a declaration changes, so that the host can remember what it computed of it.
        var current = catalog.Current;
        if (current != listedOf) (listedOf, listed) = (current, [.. current.Deployments]);
        // Other gateways start no pods.
        var prepared = epoch > 0 || nodes.IsOffered ? listed : None;
        return Task.Run(() => podHost.Prepare(prepared), ct);
    }
}
