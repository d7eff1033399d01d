using Sluice.ControlPlane.Leadership;
using Sluice.Domain.Placement;
using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane.Gpus;

/// <summary>Handles the workers of a request that could not be placed.</summary>
internal sealed class GpuRefusals(
    EndpointReconcileStates states,
    EndpointAvailability availability,
    GpuPreemption preemption,
    TimeProvider time)
{
    /// <summary>Stores why the refused workers wait, and makes room for them.</summary>
    /// <param name="order">The request.</param>
    /// <param name="refused">Its workers that were refused; empty: none waits any more.</param>
    /// <param name="epoch">The leader's epoch.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task HandleAsync(PendingGpuStarts order, List<Placed> refused, long epoch, CancellationToken ct)
    {
        var state = states.GetOrCreate(order.EndpointId);
        var why = refused.Select(p => p.Refusal!).FirstOrDefault();
        var wait = why is null ? null : new GpuWait(order.EndpointId, refused.Count,
            state.Wait?.Since ?? time.GetUtcNow(), why.Never, why.Part, why.Reason, why.WouldFit);
        await availability.StoreWaitAsync(order.EndpointId, epoch, state, wait, ct);
        await availability.UpdateBlockAsync(order.Deployment.Endpoint, state, ct);
        if (why is { Never: false }) await preemption.MakeRoomAsync(order, ct);
    }
}
