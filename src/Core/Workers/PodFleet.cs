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

    /// <summary>Between two writes of a pod's last lines: a worker that writes much costs one write a second.</summary>
    private static readonly TimeSpan TellOutputEvery = TimeSpan.FromSeconds(1);

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

    /// <summary>This host's pods that take requests, or finish those they have, and where they are.</summary>
    public IEnumerable<(Pod Pod, WorkerAddress Address)> Serving => own.Values
        .Where(p => p is { Record.State: PodState.Ready or PodState.Draining, Running: not null }).Select(p => (p.Record, p.Running!.Address));

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
        var order = new PodOrder(deployment, pod.Id, holding?.Devices.Select(d => d.Uuid).ToList())
        {
            Fingerprint = fingerprint,
            Epoch = epoch,
            ShareMiB = pod.Record.ShareMiB,
        };
        // Not on the scheduler of the loop that orders it.
        pod.Life = Task.Run(() => LiveAsync(pod, () => BeginAsync(pod, order, asked)), CancellationToken.None);
        return answer;
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

    /// <summary>A pod's life, which ends here, whatever happens in it: one that nobody cares for any more would run, and count, for ever.</summary>
    /// <param name="pod">The pod.</param>
    /// <param name="life">What becomes of it; tells how it ended.</param>
    private async Task LiveAsync(OwnPod pod, Func<Task<string>> life)
    {
        await Task.Yield();
        string why;
        try
        {
            why = await life();
        }
        catch (InvalidOperationException e) when (pod.Running is null)
        {
            why = e.Message;
        }
        catch (OperationCanceledException) when (pod.Running is null && pod.StopWanted.IsCompleted)
        {
            why = "given up while it was started";
        }
        catch (Exception e)
        {
            why = $"given up after an error: {e.Message}";
            Broke(pod.Id, pod.EndpointId, e);
            await AbandonAsync(pod);
        }

        await EndAsync(pod, why);
    }

    /// <summary>Its order and its start, then what follows.</summary>
    private async Task<string> BeginAsync(OwnPod pod, PodOrder order, long asked)
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
        return await RunAsync(pod, running);
    }

    /// <summary>Ends what runs of a pod after an error of ours.</summary>
    private async Task AbandonAsync(OwnPod pod)
    {
        if (pod.Running is not { } running) return;
        try
        {
            await podHost.KillAsync(running);
            await running.Exited;
            await podHost.ForgetAsync(running, leaving.Token);
        }
        catch (Exception e)
        {
            Broke(pod.Id, pod.EndpointId, e);
        }
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
        if (running.Unsure) await HoldAsync(pod, exit);
        await podHost.ForgetAsync(running, leaving.Token);
        return why.Length > 0 ? why : exit;
    }

    /// <summary>Nobody saw its end: it takes no requests, and keeps its devices until its host says that it is gone.</summary>
    private async Task HoldAsync(OwnPod pod, string why)
    {
        await PersistAsync(() => slots.DownAsync(pod.EndpointId, pod.Id, CancellationToken.None));
        pod.TryMove(r => r with { State = PodState.Stopping, Reason = why }, PodState.Starting, PodState.Ready, PodState.Draining, PodState.Stopping);
        await PersistAsync(() => PutAsync(pod));
    }

    /// <summary>Shows what a start that takes long is doing.</summary>
    private void Tell(OwnPod pod, string words)
    {
        if (pod.TryMove(r => r with { Reason = words }, PodState.Starting)) _ = PersistAsync(() => PutAsync(pod));
    }

    private void NotReadyYet(OwnPod pod, string seen)
    {
        NotReady(pod.Id, pod.EndpointId, seen);
        Tell(pod, seen);
    }

    /// <summary>Waits for readiness and enters dispatch. Empty when it did (or was told to stop), else why not.</summary>
    private async Task<string> BecomeReadyAsync(OwnPod pod, RunningPod running)
    {
        using var waiting = new CancellationTokenSource();
        var ready = probe.WaitReadyAsync(running, seen => NotReadyYet(pod, seen), waiting.Token);
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
            ColdStart.Record(stage.Ms / 1000, Tag("endpoint", pod.EndpointId), Tag("stage", StartStages.Label(stage.Name)));
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
        try
        {
            await TellEndAsync(pod, wanted, why);
        }
        catch (Exception e)
        {
            Broke(pod.Id, pod.EndpointId, e);
        }

        own.TryRemove(pod.Id, out _);
        Ended?.Invoke(new PodEnd(pod.Record, !wanted,
            last.ReadyAt is { } ready && time.GetUtcNow() - ready >= StartBackoff.ProvenAfter));
    }

    private async Task TellEndAsync(OwnPod pod, bool wanted, string why)
    {
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
            catch (Exception e) when (RedisDown.Is(e) || RedisFaults.Of(e) == RedisFault.WrongData)
            {
                // Also a key of another type: the worker itself is healthy, and runs on.
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

    [LoggerMessage(LogLevel.Warning, "Worker {Worker} of {Endpoint} has not started yet: {Probe}")]
    private partial void NotReady(string worker, string endpoint, string probe);

    [LoggerMessage(LogLevel.Information, "Worker {Worker} of {Endpoint} is ready after {Ms:0} ms")]
    private partial void Ready(string worker, string endpoint, double ms);

    [LoggerMessage(LogLevel.Information, "Worker {Worker} of {Endpoint} stopped: {Why}")]
    private partial void Stopped(string worker, string endpoint, string why);

    [LoggerMessage(LogLevel.Error, "Worker {Worker} of {Endpoint} failed: {Why}")]
    private partial void Failed(string worker, string endpoint, string why);

    [LoggerMessage(LogLevel.Error, "The care of worker {Worker} of {Endpoint} broke off: an error of the gateway's own")]
    private partial void Broke(string worker, string endpoint, Exception e);
}
