using Microsoft.Extensions.Logging;
using Sluice.Domain.Fleet;

namespace Sluice.ControlPlane.Pods;

/// <summary>
/// Compares one pod of this host with its record, the leader's orders and dispatch, and takes the next step: restores
/// what Redis lost, drains, resumes, probes or stops the pod.
/// </summary>
internal sealed partial class PodStateReconciliation(
    ManagedPods pods,
    PodRecords records,
    PodTransitions transitions,
    UnreachablePodCheck check,
    ILogger<PodStateReconciliation> logger)
{
    private readonly ILogger<PodStateReconciliation> logger = logger;

    /// <summary>Reconciles one pod.</summary>
    /// <param name="pod">The pod.</param>
    /// <param name="max">Largest number of pods of the endpoint.</param>
    /// <param name="snapshot">The endpoint's dispatch state.</param>
    /// <param name="fleet">The endpoint's pods and drain orders.</param>
    /// <param name="ct">Cancels the call; the pod is not affected.</param>
    /// <returns>Whether the pod had no record and <paramref name="fleet"/> is outdated.</returns>
    public async Task<bool> ReconcileAsync(
        ManagedPod pod,
        int max,
        EndpointSnapshot snapshot,
        FleetSnapshot fleet,
        CancellationToken ct)
    {
        var record = fleet.Pods.FirstOrDefault(p => p.Id == pod.Id);
        var inDispatch = snapshot.Workers.FirstOrDefault(w => w.PodId == pod.Id);
        if (record is not null && record.HostId != records.HostId)
        {
            // This gateway appeared to be lost, and the leader took the pod over.
            WorkerReleased(pod.Id, pod.EndpointId, record.HostId);
            pods.Remove(pod);
            pod.Release();
            return false;
        }

        // Redis lost the last write of the record.
        if (record is not null && !AreEqual(record, pod.Record)) await records.PutAsync(pod);
        switch (pod.Record.State)
        {
            // Redis lost the record, or the leader removed it because this host appeared to be lost.
            case PodState.Starting or PodState.Ready when record is null:
                await RestoreRecordAsync(pod, max, ct);
                return true;
            case PodState.Starting when fleet.Drain.Contains(pod.Id):
                await transitions.StopAsync(pod, "no longer needed");
                break;
            case PodState.Ready when fleet.Drain.Contains(pod.Id):
                await transitions.DrainAsync(pod, "no longer needed", ct);
                break;
            case PodState.Draining when record is not null && !fleet.Drain.Contains(pod.Id):
                await transitions.ResumeAsync(pod, ct);
                break;
            case PodState.Ready when inDispatch is null:
                // Redis lost the entry (a power failure can cost the last second).
                await transitions.RestoreToDispatchAsync(pod, ct);
                break;
            case PodState.Ready when inDispatch.Draining:
                await check.ProbeAsync(pod, ct);
                break;
            // Redis lost the drain state.
            case PodState.Draining when inDispatch is { Draining: false }:
                await transitions.RestoreDrainAsync(pod, ct);
                break;
            case PodState.Draining when inDispatch is null or { Leased: 0 }:
                await transitions.StopAsync(pod, "drained");
                break;
            // A job has its own time limit, which may be longer.
            case PodState.Draining when snapshot.JobsRunning == 0 && transitions.ExceedsExecutionTimeout(pod):
                await transitions.StopAsync(pod, "drained for the whole execution timeout");
                break;
        }

        return false;
    }

    /// <summary>Whether a stored record equals the host's own one in the fields that decisions depend on.</summary>
    private static bool AreEqual(Pod record, Pod own) => record.State == own.State && record.ReadyAt == own.ReadyAt
        && record.Fingerprint == own.Fingerprint && record.ProcessId == own.ProcessId && record.RunsAs == own.RunsAs;

    /// <summary>
    /// Restores a pod's record in Redis. If the endpoint has no room for the pod, it finishes its requests and stops.
    /// </summary>
    private async Task RestoreRecordAsync(ManagedPod pod, int max, CancellationToken ct)
    {
        if (await records.RestoreAsync(pod.Record, max, ct))
        {
            // The pod may have exited since.
            if (pods.Contains(pod.Id)) WorkerRecordRestored(pod.Id, pod.EndpointId);
            else await records.RemoveExitedAsync(pod, ct);
            return;
        }

        SurplusWorkerDrained(pod.Id, pod.EndpointId, max);
        if (pod.Record.State == PodState.Starting) await transitions.StopAsync(pod, "replaced by other workers");
        else await transitions.DrainAsync(pod, "replaced by other workers", ct);
    }

    [LoggerMessage(LogLevel.Warning, "Worker {Worker} of {Endpoint} is managed by host {Host} now")]
    private partial void WorkerReleased(string worker, string endpoint, string host);

    [LoggerMessage(LogLevel.Warning, "Worker {Worker} of {Endpoint} had no record in Redis; the record was restored")]
    private partial void WorkerRecordRestored(string worker, string endpoint);

    [LoggerMessage(LogLevel.Warning,
        "Worker {Worker} of {Endpoint} had no record in Redis and stops: the endpoint has {Max} other workers")]
    private partial void SurplusWorkerDrained(string worker, string endpoint, int max);
}
