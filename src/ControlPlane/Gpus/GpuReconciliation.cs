using Sluice.ControlPlane.Pods;
using Sluice.ControlPlane.Scheduling;

namespace Sluice.ControlPlane.Gpus;

/// <summary>Places the device requests of all endpoints at the end of a round of the leader.</summary>
internal sealed class GpuReconciliation(
    GpuAllocator gpus,
    ManagedPods pods,
    GpuStarts starts,
    GpuRefusals refusals,
    ReconcileQueue queue)
{
    /// <summary>
    /// Starts the workers that can be placed, and stores for all others why they wait. Devices that were allocated to
    /// an endpoint outside this round stay free: the endpoint is requested, because its requirements may have changed.
    /// </summary>
    /// <param name="reconciled">The endpoints of this round.</param>
    /// <param name="epoch">The leader's epoch; 0: this gateway does not lead.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task PlaceAsync(IReadOnlySet<string> reconciled, long epoch, CancellationToken ct)
    {
        if (epoch == 0) return;
        foreach (var (order, placed) in gpus.Place(pods.Holdings))
        {
            var granted = placed.Where(p => p.Refusal is null).ToList();
            if (!reconciled.Contains(order.EndpointId))
            {
                if (granted.Count > 0) queue.Request(order.EndpointId);
                continue;
            }

            await starts.StartAsync(order, granted, ct);
            await refusals.HandleAsync(order, [.. placed.Where(p => p.Refusal is not null)], epoch, ct);
        }
    }
}
