using Sluice.Domain.Declarations;
using Sluice.Hosting;
using Sluice.Storage.Catalog;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>Passes the current declarations to the host; see <see cref="IPodHost.Prepare"/>.</summary>
internal sealed class StartPreparation(IPodHost podHost, CatalogWatcher catalog)
{
    /// <summary>Prepares the starts of the leader.</summary>
    /// <param name="epoch">The epoch of the round; 0: this gateway does not lead and prepares nothing.</param>
    /// <param name="ct">Cancels the call.</param>
    public Task PrepareAsync(long epoch, CancellationToken ct)
    {
        // Only the leader starts pods.
        IReadOnlyList<Deployment> prepared = epoch > 0 ? [.. catalog.Current.Deployments] : [];
        return Task.Run(() => podHost.Prepare(prepared), ct);
    }
}
