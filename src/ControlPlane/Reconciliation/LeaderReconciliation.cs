using Sluice.ControlPlane.Leadership;
using Sluice.ControlPlane.Nodes;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>The leader's work for one endpoint: remove lost pods, and then scale or remove the endpoint.</summary>
internal sealed class LeaderReconciliation(
    EndpointReader reader,
    LeaderOrders orders,
    NodeOrders elsewhere,
    LostPodRemoval lostPods,
    EndpointScaling scaling,
    EndpointRemoval removal,
    UsageAccounting usage)
{
    /// <summary>Reconciles an endpoint, if this gateway leads.</summary>
    /// <param name="observed">The state of the endpoint.</param>
    /// <param name="outdated">Whether pods of this host were found that the state does not contain.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <returns>Until when the endpoint needs no round; null: it needs the next one.</returns>
    public async Task<DateTimeOffset?> ReconcileAsync(EndpointObservation observed, bool outdated, CancellationToken ct)
    {
        if (observed.Fleet.Stale) orders.RecordLost(observed.Epoch);
        if (observed.Epoch == 0 || observed.Fleet.Stale) return null;
        if (outdated)
        {
            orders.Reconsider(observed.EndpointId);
            return null;
        }

        if (observed.LivingHosts is { } living)
        {
            await reader.OfferAsync(observed.EndpointId, observed.Dispatch, ct);
            observed = observed with
            {
                Fleet = await elsewhere.WithdrawEndedAsync(observed.Fleet, observed.Epoch, living, ct),
            };
            observed = observed with { Fleet = await lostPods.RemoveAsync(observed, living, ct) };
            await usage.CountAsync(observed, ct);
        }

        if (observed.Deployment is { } deployment) return await scaling.ScaleAsync(deployment, observed, ct);
        await removal.RemoveAsync(observed, ct);
        return null;
    }
}
