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
        var known = fleet.Pods.Select(p => p.Id).ToHashSet();
        var found = false;
        foreach (var pod in own.Values.Where(p => p.EndpointId == endpointId))
        {
            var inDispatch = snapshot.Workers.FirstOrDefault(w => w.PodId == pod.Id);
            switch (pod.Record.State)
            {
                // Redis lost it, or others believed this host to be gone.
                case PodState.Starting or PodState.Ready when !known.Contains(pod.Id):
                    await AdoptAsync(pod, max, ct);
                    found = true;
                    break;
                case PodState.Starting when fleet.Drain.Contains(pod.Id):
                    await StopAsync(pod, "not needed any more");
                    break;
                case PodState.Ready when fleet.Drain.Contains(pod.Id):
                    await DrainAsync(pod, "not needed any more", ct);
                    break;
                case PodState.Draining when known.Contains(pod.Id) && !fleet.Drain.Contains(pod.Id):
                    await ResumeAsync(pod, ct);
                    break;
                case PodState.Ready when inDispatch is null:
                    // Redis lost it (a power cut can cost the last second).
                    await slots.UpAsync(endpointId, pod.Running!.Address, ct);
                    break;
                case PodState.Ready when inDispatch.Draining:
                    await ProbeAsync(pod, ct);
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
        if (await probe.AskAsync(running, ct))
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

    [LoggerMessage(LogLevel.Warning, "Worker {Worker} of {Endpoint} runs though nobody knew of it: it is known again")]
    private partial void KnownAgain(string worker, string endpoint);

    [LoggerMessage(LogLevel.Warning, "Worker {Worker} of {Endpoint} runs though nobody knew of it, and there are {Max} without it: it goes")]
    private partial void NoRoom(string worker, string endpoint, int max);

    [LoggerMessage(LogLevel.Error, "Worker {Worker} of {Endpoint} left {Count} probes unanswered: killing it")]
    private partial void Hangs(string worker, string endpoint, int count);
}
