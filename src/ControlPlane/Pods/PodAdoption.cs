using Microsoft.Extensions.Logging;
using Sluice.Domain.Fleet;
using Sluice.Hosting;

namespace Sluice.ControlPlane.Pods;

/// <summary>
/// Adopts the running pods of an earlier process of this host, or of a lost gateway that shares the host, and removes
/// the records of pods of this host that do not run. Except for <see
/// cref="Relist"/>, only the reconciler's loop uses it.
/// </summary>
internal sealed partial class PodAdoption(
    ManagedPods pods,
    PodRecords records,
    PodManager manager,
    WorkerLogWriter logs,
    TimeProvider time,
    ILogger<PodAdoption> logger)
{
    private readonly ILogger<PodAdoption> logger = logger;

    /// <summary>Endpoint -> pods that had a record of this host in the last round but do not run.</summary>
    private readonly Dictionary<string, HashSet<string>> ghosts = [];

    private volatile bool adopted;
    private volatile bool relists;

    /// <summary>
    /// Makes the next <see cref="AdoptAsync"/> compare the records of all endpoints with the running pods, because
    /// Redis may have lost its last writes.
    /// </summary>
    public void Relist() => relists = true;

    /// <summary>
    /// Adopts the pods that were found. The first call also removes the records of pods that no longer run. The method
    /// is idempotent.
    /// </summary>
    public async Task AdoptAsync(IReadOnlyList<RunningPod> found, CancellationToken ct)
    {
        var left = found.Where(p => !pods.Contains(p.Order.PodId)).ToDictionary(p => p.Order.PodId);
        var relist = relists;
        relists = false;
        try
        {
            await CompareAsync(left, relist, ct);
        }
        catch
        {
            relists |= relist;
            throw;
        }

        foreach (var running in left.Values) Adopt(RecordOf(running), running);
        adopted = true;
    }

    /// <summary>
    /// Removes records of this host's pods that do not run, because Redis lost the removal. A record is removed only if
    /// it is found in two consecutive rounds: a record that is being written may be of a pod that has just exited.
    /// </summary>
    /// <returns>Whether records were removed.</returns>
    public async Task<bool> RemoveStaleRecordsAsync(string endpointId, FleetSnapshot fleet, CancellationToken ct)
    {
        if (!adopted) return false;
        var seen = fleet.Pods
            .Where(p => p.HostId == records.HostId && p.State != PodState.Failed && !pods.Contains(p.Id))
            // The pod of an open order does not run yet.
            .Where(p => !p.IsOrdered)
            .ToList();
        ghosts.Remove(endpointId, out var before);
        if (seen.Count == 0) return false;
        ghosts[endpointId] = [.. seen.Select(p => p.Id)];
        var gone = seen.Where(p => before?.Contains(p.Id) == true).ToList();
        foreach (var record in gone)
        {
            StaleRecordRemoved(record.Id, endpointId, record.State);
            logs.End(endpointId, record.Id, "Its record was removed, because it does not run here any more");
            await records.RemoveAsync(record, ct);
        }

        return gone.Count > 0;
    }

    private async Task CompareAsync(Dictionary<string, RunningPod> left, bool relist, CancellationToken ct)
    {
        var readsRecords = !adopted || relist || left.Count > 0;
        foreach (var endpoint in readsRecords ? await records.EndpointsAsync(ct) : [])
        {
            foreach (var record in (await records.ListAllAsync(endpoint, ct)).Where(p => !pods.Contains(p.Id)))
            {
                if (record.State != PodState.Failed && left.Remove(record.Id, out var running))
                    await TakeAsync(record, running, ct);
                else if (record.HostId != records.HostId || record.IsOrdered)
                    continue;
                // Failed pods of this process stay listed, so that operators can read why they failed.
                else if (!adopted || (relist && record.State != PodState.Failed))
                    await records.RemoveAsync(record, ct);
            }
        }
    }

    /// <summary>Adopts a pod that has a record. One of a lost host is taken over first, by one gateway only.</summary>
    private async Task TakeAsync(Pod record, RunningPod running, CancellationToken ct)
    {
        var own = record.HostId == records.HostId ? record : await records.TakeOverAsync(record, ct);
        if (own is null)
        {
            running.Model?.Dispose();
            running.Dispose();
            return;
        }

        if (own.HostId != record.HostId) WorkerTakenOver(record.Id, record.EndpointId, record.HostId);
        Adopt(own, running);
    }

    private void Adopt(Pod record, RunningPod running)
    {
        if (record.ReadyAt is { } since)
            running.Address = running.Address with
            {
                ReadyAt = since,
                Start = StartStages.Pack(record.Stages),
                Cache = record.Cache,
                Gpu = record.Gpu,
            };
        var own = record with { Fingerprint = running.Order.Fingerprint, RunsAs = running.Name };
        var pod = new ManagedPod(own) { Running = running };
        if (record.State == PodState.Draining) pod.DrainingSince = time.GetUtcNow();
        if (record.State == PodState.Stopping) pod.RequestStop();
        logs.Attach(pod.EndpointId, running);
        manager.Adopt(pod, running);
        WorkerAdopted(pod.Id, pod.EndpointId, running.Name, record.State);
        if (pod.Record.Fingerprint != record.Fingerprint) _ = records.PersistAsync(pod);
    }

    /// <summary>
    /// Creates the record of a running pod that has none in Redis. The pod must pass the readiness probe. The next
    /// round stores the record, if the endpoint has room for the pod.
    /// </summary>
    private Pod RecordOf(RunningPod running) => new()
    {
        Id = running.Order.PodId,
        EndpointId = running.Deployment.Endpoint.Id,
        Template = running.Deployment.Template.Name,
        HostId = records.HostId,
        State = PodState.Starting,
        Fingerprint = running.Order.Fingerprint,
        StartedAt = time.GetUtcNow() - time.GetElapsedTime(running.Started),
        ProcessId = running.ProcessId,
        RunsAs = running.Name,
        Devices = running.Order.Devices ?? [],
        ShareMiB = running.Order.ShareMiB,
        Node = running.Order.Node,
        Reason = "adopted",
    };

    [LoggerMessage(LogLevel.Information, "Worker {Worker} of {Endpoint} was adopted ({State}): it runs as {What}")]
    private partial void WorkerAdopted(string worker, string endpoint, string what, PodState state);

    [LoggerMessage(LogLevel.Information, "Worker {Worker} of {Endpoint} is taken over from host {Host}, which is lost")]
    private partial void WorkerTakenOver(string worker, string endpoint, string host);

    [LoggerMessage(LogLevel.Warning,
        "Record of worker {Worker} of {Endpoint} removed: its state is {State}, but the worker does not run here")]
    private partial void StaleRecordRemoved(string worker, string endpoint, PodState state);
}
