using Microsoft.Extensions.Logging;
using Sluice.ControlPlane.Leadership;
using Sluice.ControlPlane.Pods;

namespace Sluice.ControlPlane.Gpus;

/// <summary>Drains workers whose devices a request of higher priority or of a newer declaration needs.</summary>
internal sealed partial class GpuPreemption(
    GpuAllocator gpus,
    ManagedPods pods,
    EndpointReconcileStates states,
    LeaderOrders orders,
    ILogger<GpuPreemption> logger)
{
    private readonly ILogger<GpuPreemption> logger = logger;

    /// <summary>
    /// Makes room for a request that could not be placed. If only pods of an earlier declaration occupy the devices of
    /// their successors, one of them drains: otherwise a fully used machine could never change to a new declaration.
    /// </summary>
    public async Task MakeRoomAsync(PendingGpuStarts order, CancellationToken ct)
    {
        if (order.Replaceable.Count > 0)
            await orders.DrainAsync(order.EndpointId, order.Epoch, [order.Replaceable[0]], [], ct);
        foreach (var pod in gpus.Reclaimable(order, states.All, pods.Holdings))
            if (states.Find(pod.EndpointId) is { } other
                && await orders.DrainAsync(pod.EndpointId, order.Epoch, [pod.PodId], [], ct))
            {
                other.Reclaimed.Add(pod.PodId);
                WorkerPreempted(pod.PodId, pod.EndpointId, order.EndpointId);
            }
    }

    [LoggerMessage(LogLevel.Information,
        "Worker {Worker} of {Endpoint} is idle and makes room for {Other}, which has a higher priority")]
    private partial void WorkerPreempted(string worker, string endpoint, string other);
}
