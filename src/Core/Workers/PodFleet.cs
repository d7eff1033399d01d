using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;
using Sluice.Core.Gpus;
using Sluice.Core.Redis;

namespace Sluice.Core.Workers;

/// <summary>How one of this host's pods ended.</summary>
/// <param name="Pod">Its last record.</param>
/// <param name="Failed">It ended though nobody wanted it to.</param>
/// <param name="Proven">It had been ready long enough to call its start good.</param>
public readonly record struct PodEnd(Pod Pod, bool Failed, bool Proven);

/// <summary>
/// The pods of this host, from their start to their end: the one owner of what runs, of their records, and of
/// their entries in dispatch.
/// </summary>
public sealed partial class PodFleet : IDisposable
{
    /// <summary>Failed pods kept for an endpoint, for those who ask why.</summary>
    private const int KeptFailures = 3;

    /// <summary>Probes that a running pod may leave unanswered, one after another, before it is killed.</summary>
    private const int MaxUnanswered = 3;

    /// <summary>An order that was accepted so long ago is not followed: a gateway that stood still was taken for dead meanwhile.</summary>
    private static readonly TimeSpan StaleOrder = Reconciler.HostLease / 2;

    private static readonly TimeSpan StoreRetry = TimeSpan.FromSeconds(0.5);

    private static readonly Histogram<double> ColdStart = CoreMeter.Meter.CreateHistogram<double>(
        "sluice.cold_start.stage", "s", "Where the time from ordering a worker to its readiness went.");

    private static readonly Counter<long> Exits = CoreMeter.Meter.CreateCounter<long>("sluice.worker.exits", "{worker}",
        "Workers that ended, by how: stopped as wanted, or failed.");

    private readonly ConcurrentDictionary<string, OwnPod> own = [];
    private readonly CancellationTokenSource leaving = new();
    private readonly HostId host;
    private readonly IPodHost podHost;
    private readonly ReadinessProbe probe;
    private readonly PodStore store;
    private readonly WorkerSlotStore slots;
    private readonly TimeProvider time;
    private readonly ILogger<PodFleet> logger;

    public PodFleet(HostId host, IPodHost podHost, PodStore store, WorkerSlotStore slots, TimeProvider time,
        ILogger<PodFleet> logger)
    {
        (this.host, this.podHost, this.store, this.slots, this.time, this.logger) =
            (host, podHost, store, slots, time, logger);
        probe = new ReadinessProbe(time);
        CoreMeter.Meter.CreateObservableGauge("sluice.workers", Measure, "{worker}", "Workers of this host, by state.");
    }

    /// <summary>Raised when a pod has ended.</summary>
    public event Action<PodEnd>? Ended;

    /// <summary>Raised with an endpoint id when one of its pods became ready, or left a probe unanswered: it is to be looked at again at once.</summary>
    public event Action<string>? LookAgain;

    /// <summary>Endpoints that this host has pods of.</summary>
    public IEnumerable<string> Endpoints => own.Values.Select(p => p.EndpointId).Distinct();

    /// <summary>Whether this host has pods of an endpoint.</summary>
    public bool Has(string endpointId) => own.Values.Any(p => p.EndpointId == endpointId);

    /// <summary>Tells this host what is declared; see <see cref="IPodHost.Prepare"/>.</summary>
    public void Prepare(IReadOnlyList<Deployment> declared) => podHost.Prepare(declared);

    /// <summary>Starts a pod for a leader, if the order stands; its life goes on by itself.</summary>
    /// <param name="deployment">What it is a pod of.</param>
    /// <param name="fingerprint">Of its declaration.</param>
    /// <param name="epoch">The leader's.</param>
    /// <param name="holding">Its id and devices; null: GPUs are nobody's on this machine, and it sees what the gateway sees.</param>
    /// <param name="ct">Gives up; the pod may be known then.</param>
    public async Task<OrderAnswer> StartAsync(Deployment deployment, string fingerprint, long epoch, GpuHolding? holding, CancellationToken ct)
    {
        var asked = time.GetTimestamp();
        var pod = new OwnPod(new Pod
        {
            Id = holding?.PodId ?? NewId(deployment.Endpoint.Id),
            Devices = [.. holding?.Devices.Select(d => d.Uuid) ?? []],
            ShareMiB = holding?.Devices.Select(d => d.ShareMiB).FirstOrDefault(),
            EndpointId = deployment.Endpoint.Id,
            Template = deployment.Template.Name,
            HostId = host.Value,
            State = PodState.Starting,
            Fingerprint = fingerprint,
            StartedAt = time.GetUtcNow(),
            Reason = "ordered",
        }) { Asked = asked };
        // Known to Redis first: a start that nobody knows of would be ordered twice.
        var answer = await store.StartAsync(pod.Record, epoch, deployment.Endpoint.Scaling.Max, ct);
        if (answer != OrderAnswer.Taken) return answer;
        own[pod.Id] = pod;
        pod.Life = LiveAsync(pod, new PodOrder(deployment, pod.Id, holding?.Devices.Select(d => d.Uuid).ToList())
        {
            Fingerprint = fingerprint,
            Epoch = epoch,
            ShareMiB = pod.Record.ShareMiB,
        }, asked);
        return answer;
    }

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

    /// <summary>Whether the pods go on without this process: it then says nothing of their end.</summary>
    public bool KeepsPods => podHost.KeepsPods;

    /// <summary>Stops every pod of this host and ends when all are gone; or leaves all of them to the next process.</summary>
    public async Task StopAllAsync()
    {
        if (KeepsPods)
        {
            await leaving.CancelAsync();
            return;
        }

        foreach (var pod in own.Values) pod.WantStop();
        await leaving.CancelAsync();
        await Task.WhenAll(own.Values.Select(p => p.Life));
    }

    public void Dispose()
    {
        leaving.Dispose();
        probe.Dispose();
    }

    private async Task LiveAsync(OwnPod pod, PodOrder order, long asked)
    {
        await Task.Yield();
        string why;
        try
        {
            if (time.GetElapsedTime(asked) > StaleOrder)
            {
                pod.WantStop();
                throw new InvalidOperationException("this gateway stood still: the order is too old to be followed");
            }

            using var giveUp = new CancellationTokenSource();
            var start = podHost.StartAsync(order, words => Tell(pod, words), giveUp.Token);
            if (await Task.WhenAny(start, pod.StopWanted) != start) await giveUp.CancelAsync();
            var running = await start;
            pod.Running = running;
            var mark = running.ProcessId is { } process ? ProcessMark.Of(process) : null;
            pod.TryMove(r => r with { ProcessId = running.ProcessId, RunsAs = running.Name, Mark = mark, Reason = "started" }, PodState.Starting);
            Started(pod.Id, pod.EndpointId, running.Name);
            await PersistAsync(() => PutAsync(pod));
            why = await RunAsync(pod, running);
        }
        catch (InvalidOperationException e)
        {
            why = e.Message;
        }
        catch (OperationCanceledException) when (pod.StopWanted.IsCompleted)
        {
            why = "given up while it was started";
        }

        await EndAsync(pod, why);
    }

    /// <summary>From its start to its end; returns how it ended.</summary>
    private async Task<string> RunAsync(OwnPod pod, RunningPod running)
    {
        // One that was adopted may be ready already.
        var why = pod.Record.State == PodState.Starting ? await BecomeReadyAsync(pod, running) : "";
        if (why.Length > 0) await podHost.KillAsync(running);
        var stop = await Task.WhenAny(running.Exited, pod.StopWanted) == pod.StopWanted;
        if (stop) await podHost.StopAsync(running);
        var exit = await running.Exited;
        await podHost.ForgetAsync(running);
        return why.Length > 0 ? why : exit;
    }

    /// <summary>Shows what a start that takes long is doing.</summary>
    private void Tell(OwnPod pod, string words)
    {
        if (pod.TryMove(r => r with { Reason = words }, PodState.Starting)) _ = PersistAsync(() => PutAsync(pod));
    }

    /// <summary>Waits for readiness and enters dispatch. Empty when it did (or was told to stop), else why not.</summary>
    private async Task<string> BecomeReadyAsync(OwnPod pod, RunningPod running)
    {
        using var waiting = new CancellationTokenSource();
        var ready = probe.WaitReadyAsync(running, waiting.Token);
        if (await Task.WhenAny(ready, pod.StopWanted) != ready)
        {
            await waiting.CancelAsync();
            await Task.WhenAny(ready);
            return "";
        }

        if (await ready is { } why) return why;

        var now = time.GetUtcNow();
        var asked = pod.Asked ?? running.Ordered;
        var total = time.GetElapsedTime(asked).TotalMilliseconds;
        var stages = running.Adopted ? running.Stages : StartStages.Of(time.GetElapsedTime(asked, running.Ordered), running.HostStages, running.Stages, total);
        running.Address = running.Address with { ReadyAt = now, Start = StartStages.Pack(stages) };
        await PersistAsync(() => slots.UpAsync(pod.EndpointId, running.Address, CancellationToken.None));
        pod.TryMove(r => r with { State = PodState.Ready, ReadyAt = now, Stages = stages, Reason = "ready" }, PodState.Starting);
        foreach (var stage in running.Adopted ? [] : stages)
            ColdStart.Record(stage.Ms / 1000, Tag("endpoint", pod.EndpointId), Tag("stage", stage.Name));
        Ready(pod.Id, pod.EndpointId, total);
        await PersistAsync(() => PutAsync(pod));
        await ForgetFailuresAsync(pod.EndpointId, keep: 0);
        LookAgain?.Invoke(pod.EndpointId);
        return "";
    }

    private async Task EndAsync(OwnPod pod, string why)
    {
        var wanted = pod.StopWanted.IsCompleted;
        var last = pod.Record;
        await PersistAsync(() => slots.DownAsync(pod.EndpointId, pod.Id, CancellationToken.None));
        Exits.Add(1, Tag("endpoint", pod.EndpointId), Tag("reason", wanted ? "stopped" : "failed"));
        if (wanted)
        {
            own.TryRemove(pod.Id, out _);
            await PersistAsync(() => store.RemoveAsync(pod.EndpointId, pod.Id, CancellationToken.None));
            Stopped(pod.Id, pod.EndpointId, why);
        }
        else
        {
            Failed(pod.Id, pod.EndpointId, why);
            pod.TryMove(r => r with { State = PodState.Failed, Reason = why, LastOutput = pod.Running?.LastOutput ?? [] },
                PodState.Starting, PodState.Ready, PodState.Draining, PodState.Stopping);
            await PersistAsync(() => PutAsync(pod));
            own.TryRemove(pod.Id, out _);
            await ForgetFailuresAsync(pod.EndpointId, KeptFailures);
        }

        Ended?.Invoke(new PodEnd(pod.Record, !wanted,
            last.ReadyAt is { } ready && time.GetUtcNow() - ready >= StartBackoff.ProvenAfter));
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
            Hangs(pod.Id, pod.EndpointId, MaxUnanswered);
            await podHost.KillAsync(running);
        }
        else
        {
            LookAgain?.Invoke(pod.EndpointId);
        }
    }

    private async Task PutAsync(OwnPod pod)
    {
        await pod.Writing.WaitAsync();
        try
        {
            if (own.ContainsKey(pod.Id)) await store.PutAsync(pod.Record, CancellationToken.None);
        }
        finally
        {
            pod.Writing.Release();
        }
    }

    private Task ForgetFailuresAsync(string endpointId, int keep) => PersistAsync(async () =>
    {
        var failed = (await store.ListAsync(endpointId, CancellationToken.None)).Where(p => p.State == PodState.Failed && p.HostId == host.Value);
        foreach (var pod in failed.SkipLast(keep))
            await store.RemoveAsync(endpointId, pod.Id, CancellationToken.None);
    });

    /// <summary>Repeats a write until Redis took it; when the gateway leaves, it is tried once.</summary>
    private async Task PersistAsync(Func<Task> write)
    {
        while (true)
        {
            try
            {
                await write();
                return;
            }
            catch (Exception e) when (RedisDown.Is(e))
            {
                if (leaving.IsCancellationRequested) return;
                await Task.WhenAny(Task.Delay(StoreRetry, time, leaving.Token));
            }
        }
    }

    private IEnumerable<Measurement<int>> Measure() => own.Values.Select(p => p.Record)
        .GroupBy(p => (p.EndpointId, p.State))
        .Select(g => new Measurement<int>(g.Count(), Tag("endpoint", g.Key.EndpointId),
            Tag("state", g.Key.State.ToString().ToLowerInvariant())));

    private static KeyValuePair<string, object?> Tag(string name, object? value) => KeyValuePair.Create(name, value);

    [LoggerMessage(LogLevel.Information, "Worker {Worker} of {Endpoint} started as {What}")]
    private partial void Started(string worker, string endpoint, string what);

    [LoggerMessage(LogLevel.Information, "Worker {Worker} of {Endpoint} is ready after {Ms:0} ms")]
    private partial void Ready(string worker, string endpoint, double ms);

    [LoggerMessage(LogLevel.Information, "Worker {Worker} of {Endpoint} stopped: {Why}")]
    private partial void Stopped(string worker, string endpoint, string why);

    [LoggerMessage(LogLevel.Warning, "Worker {Worker} of {Endpoint} runs though nobody knew of it: it is known again")]
    private partial void KnownAgain(string worker, string endpoint);

    [LoggerMessage(LogLevel.Warning, "Worker {Worker} of {Endpoint} runs though nobody knew of it, and there are {Max} without it: it goes")]
    private partial void NoRoom(string worker, string endpoint, int max);

    [LoggerMessage(LogLevel.Error, "Worker {Worker} of {Endpoint} failed: {Why}")]
    private partial void Failed(string worker, string endpoint, string why);

    [LoggerMessage(LogLevel.Error, "Worker {Worker} of {Endpoint} left {Count} probes unanswered: killing it")]
    private partial void Hangs(string worker, string endpoint, int count);
}
