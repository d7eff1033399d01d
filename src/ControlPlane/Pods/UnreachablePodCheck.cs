using Microsoft.Extensions.Logging;
using Sluice.ControlPlane.Scheduling;
using Sluice.Hosting;

namespace Sluice.ControlPlane.Pods;

/// <summary>
/// Probes pods that gateways reported as unreachable, and kills those that do not answer: the report may be wrong, or
/// the process may hang.
/// </summary>
internal sealed partial class UnreachablePodCheck(
    IPodHost podHost,
    ReadinessProbe probe,
    PodTransitions transitions,
    ReconcileQueue queue,
    ILogger<UnreachablePodCheck> logger)
{
    /// <summary>Consecutive failed probes after which a running pod is killed.</summary>
    private const int MaxUnanswered = 3;

    private readonly ILogger<UnreachablePodCheck> logger = logger;

    /// <summary>Probes a pod. It returns to dispatch if it answers.</summary>
    public async Task ProbeAsync(ManagedPod pod, CancellationToken ct)
    {
        var running = pod.Running!;
        if (running.Exited.IsCompleted) return;
        if ((await probe.ProbeAsync(running, ct)).Ready)
        {
            pod.Unanswered = 0;
            await transitions.RestoreToDispatchAsync(pod, ct);
        }
        else if (++pod.Unanswered >= MaxUnanswered)
        {
            if (!pod.Killing.IsCompleted) return;
            UnresponsiveWorkerKilled(pod.Id, pod.EndpointId, MaxUnanswered);
            // Not awaited: the host's daemon may hang too, and this round must continue.
            pod.Killing = KillAsync(pod, running);
        }
        else
        {
            queue.Request(pod.EndpointId);
        }
    }

    private async Task KillAsync(ManagedPod pod, RunningPod running)
    {
        try
        {
            await podHost.KillAsync(running);
        }
        catch (Exception e)
        {
            // The next round tries again.
            WorkerOperationFailed(pod.Id, pod.EndpointId, e);
        }
    }

    [LoggerMessage(LogLevel.Error, "Worker {Worker} of {Endpoint} killed: it did not answer {Count} probes in a row")]
    private partial void UnresponsiveWorkerKilled(string worker, string endpoint, int count);

    [LoggerMessage(LogLevel.Error, "Worker {Worker} of {Endpoint}: an operation failed with an internal error")]
    private partial void WorkerOperationFailed(string worker, string endpoint, Exception e);
}
