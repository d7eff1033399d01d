using Sluice.Domain.Fleet;
using Sluice.Storage.Fleet;
using Sluice.Storage.Queueing;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>Reads the state of one endpoint from Redis, after what is expired in dispatch was removed.</summary>
internal sealed class EndpointReader(PodStore store, WorkerSlotStore slots)
{
    /// <summary>
    /// Removes expired slot leases. Returns whether leases, tickets or running jobs are left, which the next round must
    /// check.
    /// </summary>
    public async Task<bool> ReapAsync(string endpointId, CancellationToken ct) =>
        (await slots.ReapAsync(endpointId, ct)).IsOpen;

    /// <summary>Reads the endpoint's pods and its dispatch state.</summary>
    /// <param name="endpointId">The endpoint's id.</param>
    /// <param name="epoch">The leader's epoch; 0: this gateway does not lead.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task<(FleetSnapshot Fleet, EndpointSnapshot Dispatch)> ReadAsync(
        string endpointId,
        long epoch,
        CancellationToken ct)
    {
        // Both commands are sent without waiting, and their replies are awaited together.
        var (fleet, dispatch) = (store.ReadAsync(endpointId, epoch, ct), slots.SnapshotAsync(endpointId, ct));
        await Task.WhenAll(fleet, dispatch);
        return (await fleet, await dispatch);
    }

    /// <summary>Offers free slots to waiting tickets, if there are both.</summary>
    public async Task OfferAsync(string endpointId, EndpointSnapshot dispatch, CancellationToken ct)
    {
        if (dispatch.Queued > 0 && dispatch.Workers.Any(w => w.Free > 0)) await slots.OfferAsync(endpointId, ct);
    }
}
