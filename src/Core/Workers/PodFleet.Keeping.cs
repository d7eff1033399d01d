using Microsoft.Extensions.Logging;
using Sluice.Core.Dispatch;

namespace Sluice.Core.Workers;

/// <summary>What a look at Redis makes of this host's pods: known again, drained, resumed, probed, stopped.</summary>
public sealed partial class PodFleet
{
    /// <summary>
    /// Brings this host's pods of one endpoint to where orders and dispatch want them. <paramref name="snapshot"/> and
    /// <paramref name="fleet"/> must be younger than the last call, and the latter younger than the last start.
    /// </summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="max">Pods that it may have; what Redis does not know any more is brought back within it, else stopped.</param>
    /// <param name="snapshot">What dispatch knows.</param>
    /// <param name="fleet">Pods and orders.</param>
    /// <param name="ct">Stops the look, not the pods.</param>
    /// <returns>Whether pods were found that <paramref name="fleet"/> does not know: whoever decides must look again.</returns>
    public async Task<bool> KeepAsync(string endpointId, int max, EndpointSnapshot snapshot, FleetLook fleet, CancellationToken ct)
    {
        var known = fleet.Pods.ToDictionary(p => p.Id);
        var found = await ForgetGhostsAsync(endpointId, fleet, ct);
        await TellOutputAsync(endpointId, ct);
        foreach (var pod in own.Values.Where(p => p.EndpointId == endpointId))
        {
            var inDispatch = snapshot.Workers.FirstOrDefault(w => w.PodId == pod.Id);
            // Redis lost what was written last of it.
            if (known.TryGetValue(pod.Id, out var record) && !Tells(record, pod.Record)) await PutAsync(pod);
            switch (pod.Record.State)
            {
                // Redis lost it, or others believed this host to be gone.
                case PodState.Starting or PodState.Ready when record is null:
                    await AdoptAsync(pod, max, ct);
                    found = true;
                    break;
                case PodState.Starting when fleet.Drain.Contains(pod.Id):
                    await StopAsync(pod, "not needed any more");
                    break;
                case PodState.Ready when fleet.Drain.Contains(pod.Id):
                    await DrainAsync(pod, "not needed any more", ct);
                    break;
                case PodState.Draining when record is not null && !fleet.Drain.Contains(pod.Id):
                    await ResumeAsync(pod, ct);
                    break;
                case PodState.Ready when inDispatch is null:
                    // Redis lost it (a power cut can cost the last second).
                    await slots.UpAsync(endpointId, pod.Running!.Address, ct);
                    break;
                case PodState.Ready when inDispatch.Draining:
                    await ProbeAsync(pod, ct);
                    break;
                // Redis lost that it drains.
                case PodState.Draining when inDispatch is { Draining: false }:
                    await slots.DrainAsync(endpointId, pod.Id, ct);
                    break;
                case PodState.Draining when inDispatch is null or { Leased: 0 }:
                    await StopAsync(pod, "drained");
                    break;
                // A job has its own time limit, which may be a longer one.
                case PodState.Draining when snapshot.JobsRunning == 0
                    && time.GetUtcNow() - pod.DrainingSince > pod.Running!.Deployment.Endpoint.Forwarding.ExecutionTimeout:
                    await StopAsync(pod, "drained for the whole execution timeout");
                    break;
            }
        }

        return found;
    }

    /// <summary>Stores the last lines of this host's pods of an endpoint, of each at most once in <see cref="TellOutputEvery"/> and only new ones.</summary>
    private Task TellOutputAsync(string endpointId, CancellationToken ct)
    {
        List<Task> writes = [];
        foreach (var pod in own.Values)
        {
            if (pod.EndpointId != endpointId || pod.Running is not { } running) continue;
            var lines = running.LinesWritten;
            if (lines == pod.LinesTold || (pod.OutputTold is { } told && time.GetElapsedTime(told) < TellOutputEvery)) continue;
            (pod.LinesTold, pod.OutputTold) = (lines, time.GetTimestamp());
            writes.Add(store.PutOutputAsync(endpointId, pod.Id, running.LastOutput, ct));
        }

        return Task.WhenAll(writes);
    }

    /// <summary>One look of a host that stops: takes its pods out of dispatch, so that they get nothing new and nobody counts on them, and stops those
    /// that have nothing.</summary>
    /// <returns>Whether pods are left.</returns>
    public async Task<bool> LeaveAsync(CancellationToken ct)
    {
        const string why = "its gateway stops";
        foreach (var endpoint in Endpoints.ToList())
        {
            var workers = (await slots.SnapshotAsync(endpoint, ct)).Workers.ToDictionary(w => w.PodId);
            foreach (var pod in own.Values.Where(p => p.EndpointId == endpoint && !p.StopWanted.IsCompleted))
            {
                var inDispatch = workers.GetValueOrDefault(pod.Id);
                if (inDispatch is { Draining: false })
                {
                    await slots.DrainAsync(endpoint, pod.Id, ct);
                    if (pod.TryMove(r => r with { State = PodState.Stopping, Reason = why }, PodState.Ready, PodState.Draining)) await PutAsync(pod);
                }
                else if (inDispatch is null or { Leased: 0 })
                {
                    await StopAsync(pod, why);
                }
            }
        }

        return !own.IsEmpty;
    }

    /// <summary>Whether a record says what its pod's host knows, as far as others decide by it.</summary>
    private static bool Tells(Pod record, Pod own) => record.State == own.State && record.ReadyAt == own.ReadyAt && record.Fingerprint == own.Fingerprint
        && record.ProcessId == own.ProcessId && record.RunsAs == own.RunsAs;

    /// <summary>Removes records of this host's pods that do not run: Redis lost their end. Only in the second look at the same record, because one that is
    /// just being written may be of a pod that has ended.</summary>
    private async Task<bool> ForgetGhostsAsync(string endpointId, FleetLook fleet, CancellationToken ct)
    {
        if (!tookOver) return false;
        var seen = fleet.Pods.Where(p => p.HostId == host.Value && p.State != PodState.Failed && !own.ContainsKey(p.Id)).ToList();
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

    /// <summary>Makes a pod known again; one for which there is no room finishes what it has and goes.</summary>
    private async Task AdoptAsync(OwnPod pod, int max, CancellationToken ct)
    {
        if (await store.AdoptAsync(pod.Record, max, ct))
        {
            // It may have ended just now.
            if (own.ContainsKey(pod.Id)) KnownAgain(pod.Id, pod.EndpointId);
            else await store.RemoveAsync(pod.EndpointId, pod.Id, ct);
            return;
        }

        NoRoom(pod.Id, pod.EndpointId, max);
        if (pod.Record.State == PodState.Starting) await StopAsync(pod, "others took its place");
        else await DrainAsync(pod, "others took its place", ct);
    }

    private async Task DrainAsync(OwnPod pod, string reason, CancellationToken ct)
    {
        await slots.DrainAsync(pod.EndpointId, pod.Id, ct);
        pod.DrainingSince = time.GetUtcNow();
        if (pod.TryMove(r => r with { State = PodState.Draining, Reason = reason }, PodState.Ready))
            await PutAsync(pod);
    }

    /// <summary>It is wanted again: it takes requests at once.</summary>
    private async Task ResumeAsync(OwnPod pod, CancellationToken ct)
    {
        if (!pod.TryMove(r => r with { State = PodState.Ready, Reason = "wanted again" }, PodState.Draining)) return;
        await slots.UpAsync(pod.EndpointId, pod.Running!.Address, ct);
        await PutAsync(pod);
    }

    private async Task StopAsync(OwnPod pod, string reason)
    {
        if (pod.TryMove(r => r with { State = PodState.Stopping, Reason = reason }, PodState.Starting, PodState.Draining))
            await PutAsync(pod);
        pod.WantStop();
    }

    /// <summary>Gateways could not reach it: either they are wrong, or its process hangs.</summary>
    private async Task ProbeAsync(OwnPod pod, CancellationToken ct)
    {
        var running = pod.Running!;
        if (running.Exited.IsCompleted) return;
        if ((await probe.AskAsync(running, ct)).Ready)
        {
            pod.Unanswered = 0;
            await slots.UpAsync(pod.EndpointId, running.Address, ct);
        }
        else if (++pod.Unanswered >= MaxUnanswered)
        {
            if (!pod.Killing.IsCompleted) return;
            Hangs(pod.Id, pod.EndpointId, MaxUnanswered);
            // Its host's daemon may hang too; this look goes on.
            pod.Killing = KillAsync(pod, running);
        }
        else
        {
            LookAgain?.Invoke(pod.EndpointId);
        }
    }

    private async Task KillAsync(OwnPod pod, RunningPod running)
    {
        try
        {
            await podHost.KillAsync(running);
        }
        catch (Exception e)
        {
            // The next look tries again.
            Broke(pod.Id, pod.EndpointId, e);
        }
    }

    [LoggerMessage(LogLevel.Warning, "Record of worker {Worker} of {Endpoint} removed: it says {State}, but no such worker runs on this host")]
    private partial void Ghost(string worker, string endpoint, PodState state);

    [LoggerMessage(LogLevel.Warning, "Worker {Worker} of {Endpoint} runs though nobody knew of it: it is known again")]
    private partial void KnownAgain(string worker, string endpoint);

    [LoggerMessage(LogLevel.Warning, "Worker {Worker} of {Endpoint} runs though nobody knew of it, and there are {Max} without it: it goes")]
    private partial void NoRoom(string worker, string endpoint, int max);

    [LoggerMessage(LogLevel.Error, "Worker {Worker} of {Endpoint} left {Count} probes unanswered: killing it")]
    private partial void Hangs(string worker, string endpoint, int count);
}
