using Sluice.Domain.Fleet;
using Sluice.Storage.Queueing;

namespace Sluice.ControlPlane.Pods;

/// <summary>Moves a running pod between its states, in dispatch and in its record.</summary>
internal sealed class PodTransitions(PodRecords records, WorkerSlotStore slots, TimeProvider time)
{
    /// <summary>Drains a ready pod: it gets no new requests.</summary>
    public async Task DrainAsync(ManagedPod pod, string reason, CancellationToken ct)
    {
        await slots.DrainAsync(pod.EndpointId, pod.Id, ct);
        pod.DrainingSince = time.GetUtcNow();
        if (pod.TryMove(r => r with { State = PodState.Draining, Reason = reason }, PodState.Ready))
            await records.PutAsync(pod);
    }

    /// <summary>Drains a pod of a host that shuts down: it is not resumed.</summary>
    public async Task DrainForShutdownAsync(ManagedPod pod, string reason, CancellationToken ct)
    {
        await slots.DrainAsync(pod.EndpointId, pod.Id, ct);
        if (pod.TryMove(r => r with { State = PodState.Stopping, Reason = reason },
            PodState.Ready, PodState.Draining)) await records.PutAsync(pod);
    }

    /// <summary>Returns a draining pod to service; it receives requests immediately.</summary>
    public async Task ResumeAsync(ManagedPod pod, CancellationToken ct)
    {
        if (!pod.TryMove(r => r with { State = PodState.Ready, Reason = "needed again" }, PodState.Draining)) return;
        await RestoreToDispatchAsync(pod, ct);
        await records.PutAsync(pod);
    }

    /// <summary>Requests a starting or draining pod to stop.</summary>
    public async Task StopAsync(ManagedPod pod, string reason)
    {
        // A draining pod keeps the reason for which it drains.
        if (pod.TryMove(
            r => r with
            {
                State = PodState.Stopping, Reason = r.State == PodState.Draining ? $"{r.Reason}, {reason}" : reason,
            },
            PodState.Starting, PodState.Draining))
            await records.PutAsync(pod);
        pod.RequestStop();
    }

    /// <summary>Adds a ready pod to dispatch again.</summary>
    public Task RestoreToDispatchAsync(ManagedPod pod, CancellationToken ct) =>
        slots.UpAsync(pod.EndpointId, pod.Running!.Address, ct);

    /// <summary>Drains a draining pod in dispatch again.</summary>
    public Task RestoreDrainAsync(ManagedPod pod, CancellationToken ct) => slots.DrainAsync(pod.EndpointId, pod.Id, ct);

    /// <summary>Whether a pod has been draining for longer than a request may take.</summary>
    public bool ExceedsExecutionTimeout(ManagedPod pod) =>
        time.GetUtcNow() - pod.DrainingSince > pod.Running!.Deployment.Endpoint.Forwarding.ExecutionTimeout;
}
