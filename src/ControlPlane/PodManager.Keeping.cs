using Microsoft.Extensions.Logging;
using Sluice.Domain.Fleet;
using Sluice.Hosting;

namespace Sluice.ControlPlane;

/// <summary>
/// Reconciles this host's pods with the state in Redis: restores lost records, and drains, resumes, probes and stops
/// pods.
/// </summary>
public sealed partial class PodManager
{
    /// <summary>
    /// Reconciles this host's pods of one endpoint with the leader's orders and with dispatch. <paramref
    /// name="snapshot"/> and <paramref name="fleet"/> must be newer than the last call, and <paramref name="fleet"/>
    /// newer than the last start.
    /// </summary>
    /// <param name="endpointId">The endpoint's id.</param>
    /// <param name="max">
    /// Largest number of pods of the endpoint. A pod without a record gets one again within this limit, and is stopped
    /// otherwise.
    /// </param>
    /// <param name="snapshot">The endpoint's dispatch state.</param>
    /// <param name="fleet">The endpoint's pods and drain orders.</param>
    /// <param name="ct">Cancels the call; the pods are not affected.</param>
    /// <returns>
    /// Whether pods were found that <paramref name="fleet"/> does not contain. The leader must then read the state
    /// again before it decides.
    /// </returns>
    public async Task<bool> ReconcilePodsAsync(
        string endpointId,
        int max,
        EndpointSnapshot snapshot,
        FleetSnapshot fleet,
        CancellationToken ct)
    {
        var known = fleet.Pods.ToDictionary(p => p.Id);
        var found = await RemoveStaleRecordsAsync(endpointId, fleet, ct);
        await StoreOutputAsync(endpointId, ct);
        foreach (var pod in own.Values.Where(p => p.EndpointId == endpointId))
        {
            var inDispatch = snapshot.Workers.FirstOrDefault(w => w.PodId == pod.Id);
            // Redis lost the last write of the record.
            if (known.TryGetValue(pod.Id, out var record) && !AreEqual(record, pod.Record)) await PutAsync(pod);
            switch (pod.Record.State)
            {
                // Redis lost the record, or the leader removed it because this host appeared to be lost.
                case PodState.Starting or PodState.Ready when record is null:
                    await AdoptAsync(pod, max, ct);
                    found = true;
                    break;
                case PodState.Starting when fleet.Drain.Contains(pod.Id):
                    await StopAsync(pod, "no longer needed");
                    break;
                case PodState.Ready when fleet.Drain.Contains(pod.Id):
                    await DrainAsync(pod, "no longer needed", ct);
                    break;
                case PodState.Draining when record is not null && !fleet.Drain.Contains(pod.Id):
                    await ResumeAsync(pod, ct);
                    break;
                case PodState.Ready when inDispatch is null:
                    // Redis lost the entry (a power failure can cost the last second).
                    await slots.UpAsync(endpointId, pod.Running!.Address, ct);
                    break;
                case PodState.Ready when inDispatch.Draining:
                    await ProbeAsync(pod, ct);
                    break;
                // Redis lost the drain state.
                case PodState.Draining when inDispatch is { Draining: false }:
                    await slots.DrainAsync(endpointId, pod.Id, ct);
                    break;
                case PodState.Draining when inDispatch is null or { Leased: 0 }:
                    await StopAsync(pod, "drained");
                    break;
                // A job has its own time limit, which may be longer.
                case PodState.Draining when snapshot.JobsRunning == 0
                    && time.GetUtcNow() - pod.DrainingSince
                        > pod.Running!.Deployment.Endpoint.Forwarding.ExecutionTimeout:
                    await StopAsync(pod, "drained for the whole execution timeout");
                    break;
            }
        }

        return found;
    }

    /// <summary>
    /// Stores the last output lines of this host's pods of an endpoint, only when there are new ones, and each pod's at
    /// most once in <see cref="StoreOutputEvery"/>.
    /// </summary>
    private Task StoreOutputAsync(string endpointId, CancellationToken ct)
    {
        List<Task> writes = [];
        foreach (var pod in own.Values)
        {
            if (pod.EndpointId != endpointId || pod.Running is not { } running) continue;
            var lines = running.LinesWritten;
            if (lines == pod.StoredLines) continue;
            if (pod.OutputStoredAt is { } storedAt && time.GetElapsedTime(storedAt) < StoreOutputEvery) continue;
            pod.StoredLines = lines;
            pod.OutputStoredAt = time.GetTimestamp();
            writes.Add(store.PutOutputAsync(endpointId, pod.Id, running.LastOutput, ct));
        }

        return Task.WhenAll(writes);
    }

    /// <summary>
    /// One round of a host that shuts down: removes its pods from dispatch, so that they get no new requests and no
    /// longer count as capacity, and stops those without requests.
    /// </summary>
    /// <returns>Whether any pods still run.</returns>
    public async Task<bool> DrainForShutdownAsync(CancellationToken ct)
    {
        const string reason = "its gateway is shutting down";
        foreach (var endpoint in Endpoints.ToList())
        {
            var workers = (await slots.SnapshotAsync(endpoint, ct)).Workers.ToDictionary(w => w.PodId);
            foreach (var pod in own.Values.Where(p => p.EndpointId == endpoint && !p.StopRequested.IsCompleted))
            {
                var inDispatch = workers.GetValueOrDefault(pod.Id);
                if (inDispatch is { Draining: false })
                {
                    await slots.DrainAsync(endpoint, pod.Id, ct);
                    if (pod.TryMove(r => r with { State = PodState.Stopping, Reason = reason },
                        PodState.Ready, PodState.Draining)) await PutAsync(pod);
                }
                else if (inDispatch is null or { Leased: 0 })
                {
                    await StopAsync(pod, reason);
                }
            }
        }

        return !own.IsEmpty;
    }

    /// <summary>Whether a stored record equals the host's own one in the fields that decisions depend on.</summary>
    private static bool AreEqual(Pod record, Pod own) => record.State == own.State && record.ReadyAt == own.ReadyAt
        && record.Fingerprint == own.Fingerprint && record.ProcessId == own.ProcessId && record.RunsAs == own.RunsAs;

    /// <summary>
    /// Removes records of this host's pods that do not run, because Redis lost the removal. A record is removed only if
    /// it is found in two consecutive rounds: a record that is being written may be of a pod that has just exited.
    /// </summary>
    private async Task<bool> RemoveStaleRecordsAsync(string endpointId, FleetSnapshot fleet, CancellationToken ct)
    {
        if (!tookOver) return false;
        var seen = fleet.Pods
            .Where(p => p.HostId == host.Value && p.State != PodState.Failed && !own.ContainsKey(p.Id))
            .ToList();
        ghosts.Remove(endpointId, out var before);
        if (seen.Count == 0) return false;
        ghosts[endpointId] = [.. seen.Select(p => p.Id)];
        var gone = seen.Where(p => before?.Contains(p.Id) == true).ToList();
        foreach (var record in gone)
        {
            Ghost(record.Id, endpointId, record.State);
            await ForgetAsync(record, ct);
        }

        return gone.Count > 0;
    }

    /// <summary>
    /// Restores a pod's record in Redis. If the endpoint has no room for the pod, it finishes its requests and stops.
    /// </summary>
    private async Task AdoptAsync(ManagedPod pod, int max, CancellationToken ct)
    {
        if (await store.AdoptAsync(pod.Record, max, ct))
        {
            // The pod may have exited since.
            if (own.ContainsKey(pod.Id)) KnownAgain(pod.Id, pod.EndpointId);
            else await store.RemoveAsync(pod.EndpointId, pod.Id, ct);
            return;
        }

        NoRoom(pod.Id, pod.EndpointId, max);
        if (pod.Record.State == PodState.Starting) await StopAsync(pod, "replaced by other workers");
        else await DrainAsync(pod, "replaced by other workers", ct);
    }

    private async Task DrainAsync(ManagedPod pod, string reason, CancellationToken ct)
    {
        await slots.DrainAsync(pod.EndpointId, pod.Id, ct);
        pod.DrainingSince = time.GetUtcNow();
        if (pod.TryMove(r => r with { State = PodState.Draining, Reason = reason }, PodState.Ready))
            await PutAsync(pod);
    }

    /// <summary>Returns a draining pod to service; it receives requests immediately.</summary>
    private async Task ResumeAsync(ManagedPod pod, CancellationToken ct)
    {
        if (!pod.TryMove(r => r with { State = PodState.Ready, Reason = "needed again" }, PodState.Draining)) return;
        await slots.UpAsync(pod.EndpointId, pod.Running!.Address, ct);
        await PutAsync(pod);
    }

    private async Task StopAsync(ManagedPod pod, string reason)
    {
        if (pod.TryMove(r => r with { State = PodState.Stopping, Reason = reason },
            PodState.Starting, PodState.Draining))
            await PutAsync(pod);
        pod.RequestStop();
    }

    /// <summary>
    /// Probes a pod that gateways reported as unreachable: the report may be wrong, or the process may hang.
    /// </summary>
    private async Task ProbeAsync(ManagedPod pod, CancellationToken ct)
    {
        var running = pod.Running!;
        if (running.Exited.IsCompleted) return;
        if ((await probe.ProbeAsync(running, ct)).Ready)
        {
            pod.Unanswered = 0;
            await slots.UpAsync(pod.EndpointId, running.Address, ct);
        }
        else if (++pod.Unanswered >= MaxUnanswered)
        {
            if (!pod.Killing.IsCompleted) return;
            Hangs(pod.Id, pod.EndpointId, MaxUnanswered);
            // Not awaited: the host's daemon may hang too, and this round must continue.
            pod.Killing = KillAsync(pod, running);
        }
        else
        {
            ReconcileRequested?.Invoke(pod.EndpointId);
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
            Broke(pod.Id, pod.EndpointId, e);
        }
    }

    [LoggerMessage(LogLevel.Warning,
        "Record of worker {Worker} of {Endpoint} removed: its state is {State}, but the worker does not run here")]
    private partial void Ghost(string worker, string endpoint, PodState state);

    [LoggerMessage(LogLevel.Warning, "Worker {Worker} of {Endpoint} had no record in Redis; the record was restored")]
    private partial void KnownAgain(string worker, string endpoint);

    [LoggerMessage(LogLevel.Warning,
        "Worker {Worker} of {Endpoint} had no record in Redis and stops: the endpoint has {Max} other workers")]
    private partial void NoRoom(string worker, string endpoint, int max);

    [LoggerMessage(LogLevel.Error, "Worker {Worker} of {Endpoint} killed: it did not answer {Count} probes in a row")]
    private partial void Hangs(string worker, string endpoint, int count);
}
