using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Placement;
using Sluice.Hosting;
using Sluice.Hosting.Processes;
using Sluice.Shared;
using Sluice.Storage.Fleet;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;

namespace Sluice.ControlPlane;

/// <summary>The result of a pod of this host that has exited.</summary>
/// <param name="Pod">The last record.</param>
/// <param name="Failed">Whether it exited without a request to stop.</param>
/// <param name="Proven">
/// Whether it had been ready long enough (<see cref="StartBackoff.ProvenAfter"/>) to count its start as successful.
/// </param>
public readonly record struct PodEnd(Pod Pod, bool Failed, bool Proven);

/// <summary>
/// Manages the pods of this host from their start to their exit. It is the only owner of the running pods, of their
/// records, and of their entries in dispatch.
/// </summary>
public sealed partial class PodManager : IDisposable
{
    /// <summary>Failed pods that stay listed for an endpoint, so that operators can read why they failed.</summary>
    private const int KeptFailures = 3;

    /// <summary>Consecutive failed probes after which a running pod is killed.</summary>
    private const int MaxUnanswered = 3;

    /// <summary>
    /// Age from which an accepted order is not executed: a gateway that was suspended for so long may have been
    /// considered lost.
    /// </summary>
    private static readonly TimeSpan StaleOrder = Reconciler.HostLease / 2;

    /// <summary>
    /// Pause between two writes of a pod's last output lines: a worker with much output costs one write a second.
    /// </summary>
    private static readonly TimeSpan StoreOutputEvery = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan StoreRetry = TimeSpan.FromSeconds(0.5);

    private static readonly Histogram<double> ColdStart = CoreMeter.Meter.CreateHistogram<double>(
        "sluice.cold_start.stage", "s",
        "Duration of each stage of a cold start, from a worker's order to its readiness.");

    private static readonly Counter<long> Exits = CoreMeter.Meter.CreateCounter<long>("sluice.worker.exits", "{worker}",
        "Workers that exited, by reason: stopped on request, or failed.");

    private readonly ConcurrentDictionary<string, ManagedPod> own = [];
    private readonly CancellationTokenSource leaving = new();
    private readonly HostId host;
    private readonly IPodHost podHost;
    private readonly ReadinessProbe probe;
    private readonly PodStore store;
    private readonly WorkerSlotStore slots;
    private readonly TimeProvider time;
    private readonly ILogger<PodManager> logger;

    public PodManager(
        HostId host,
        IPodHost podHost,
        PodStore store,
        WorkerSlotStore slots,
        TimeProvider time,
        ILogger<PodManager> logger)
    {
        this.host = host;
        this.podHost = podHost;
        this.store = store;
        this.slots = slots;
        this.time = time;
        this.logger = logger;
        probe = new ReadinessProbe(time);
        CoreMeter.Meter.CreateObservableGauge("sluice.workers", Measure, "{worker}", "Workers of this host, by state.");
    }

    /// <summary>Raised when a pod has exited.</summary>
    public event Action<PodEnd>? Ended;

    /// <summary>
    /// Raised with an endpoint's id if the endpoint must be reconciled immediately, because one of its pods became
    /// ready or failed a probe.
    /// </summary>
    public event Action<string>? ReconcileRequested;

    /// <summary>The endpoints that this host has pods of.</summary>
    public IEnumerable<string> Endpoints => own.Values.Select(p => p.EndpointId).Distinct();

    /// <summary>Whether this host has pods of an endpoint.</summary>
    public bool HasPodsOf(string endpointId) => own.Values.Any(p => p.EndpointId == endpointId);

    /// <summary>This host's pods that receive requests or finish their current ones, with their addresses.</summary>
    public IEnumerable<(Pod Pod, WorkerAddress Address)> Serving => own.Values
        .Where(p => p is { Record.State: PodState.Ready or PodState.Draining, Running: not null })
        .Select(p => (p.Record, p.Running!.Address));

    /// <summary>Passes the current declarations to the host; see <see cref="IPodHost.Prepare"/>.</summary>
    public void Prepare(IReadOnlyList<Deployment> declared) => podHost.Prepare(declared);

    /// <summary>Starts a pod for a leader, if Redis accepts the order. Does not wait for the start.</summary>
    /// <param name="deployment">The pod's declaration.</param>
    /// <param name="fingerprint">The fingerprint of the declaration.</param>
    /// <param name="epoch">The leader's epoch.</param>
    /// <param name="holding">
    /// The pod's id and devices; null: this machine assigns no GPUs, and the pod sees those that the gateway sees.
    /// </param>
    /// <param name="ct">Cancels the call; Redis may have accepted the order by then.</param>
    public async Task<StartDecision> StartAsync(
        Deployment deployment,
        string fingerprint,
        long epoch,
        GpuAllocation? holding,
        CancellationToken ct)
    {
        var orderedAt = time.GetTimestamp();
        var pod = new ManagedPod(new Pod
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
        }) { OrderedAt = orderedAt };
        // The record is stored before the start: a start without a record would be ordered twice.
        var answer = await store.StartAsync(pod.Record, epoch, deployment.Endpoint.Scaling.Max, ct);
        if (answer != StartDecision.Taken) return answer;
        own[pod.Id] = pod;
        var order = new PodSpec(deployment, pod.Id, holding?.Devices.Select(d => d.Uuid).ToList())
        {
            Fingerprint = fingerprint,
            Epoch = epoch,
            ShareMiB = pod.Record.ShareMiB,
        };
        // Runs outside the exclusive scheduler of the reconciler's loop, which calls this method.
        pod.Life = Task.Run(
            () => ManageAsync(pod, () => StartAndRunAsync(pod, order, orderedAt)), CancellationToken.None);
        return answer;
    }

    /// <summary>Whether the pods keep running without this process, which then does not record their end.</summary>
    public bool KeepsPods => podHost.KeepsPods;

    /// <summary>
    /// Stops every pod of this host and completes when all have exited. If the host keeps its pods, they stay for the
    /// next process.
    /// </summary>
    public async Task StopAllAsync()
    {
        if (KeepsPods)
        {
            await leaving.CancelAsync();
            return;
        }

        foreach (var pod in own.Values) pod.RequestStop();
        await leaving.CancelAsync();
        await Task.WhenAll(own.Values.Select(p => p.Life));
    }

    public void Dispose()
    {
        leaving.Dispose();
        probe.Dispose();
    }

    /// <summary>
    /// Manages a pod until it has exited. An exception in any step ends the pod: an unmanaged pod would run, and count
    /// as capacity, indefinitely.
    /// </summary>
    /// <param name="pod">The pod.</param>
    /// <param name="life">The steps from the start to the exit; returns how the pod exited.</param>
    private async Task ManageAsync(ManagedPod pod, Func<Task<string>> life)
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
        catch (OperationCanceledException) when (pod.Running is null && pod.StopRequested.IsCompleted)
        {
            why = "cancelled while it was starting";
        }
        catch (Exception e)
        {
            why = $"stopped after an internal error: {e.Message}";
            Broke(pod.Id, pod.EndpointId, e);
            await AbandonAsync(pod);
        }

        await EndAsync(pod, why);
    }

    /// <summary>Starts the pod and then runs it.</summary>
    private async Task<string> StartAndRunAsync(ManagedPod pod, PodSpec order, long orderedAt)
    {
        if (time.GetElapsedTime(orderedAt) > StaleOrder)
        {
            pod.RequestStop();
            throw new InvalidOperationException("the order is too old to execute, because this gateway was suspended");
        }

        using var cancel = new CancellationTokenSource();
        var start = podHost.StartAsync(order, words => ReportProgress(pod, words), cancel.Token);
        if (await Task.WhenAny(start, pod.StopRequested) != start) await cancel.CancelAsync();
        var running = await start;
        pod.Running = running;
        var mark = running.ProcessId is { } process ? ProcessIdentity.Create(process) : null;
        pod.TryMove(
            r => r with { ProcessId = running.ProcessId, RunsAs = running.Name, Mark = mark, Reason = "started" },
            PodState.Starting);
        Started(pod.Id, pod.EndpointId, running.Name);
        await PersistAsync(() => PutAsync(pod));
        return await RunAsync(pod, running);
    }

    /// <summary>Kills a pod after an internal error.</summary>
    private async Task AbandonAsync(ManagedPod pod)
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

    /// <summary>Runs a pod from its start to its exit, and returns how it exited.</summary>
    private async Task<string> RunAsync(ManagedPod pod, RunningPod running)
    {
        // An adopted pod may be ready already.
        var why = pod.Record.State == PodState.Starting ? await BecomeReadyAsync(pod, running) : "";
        if (why.Length > 0) await podHost.KillAsync(running);
        var stop = await Task.WhenAny(running.Exited, pod.StopRequested) == pod.StopRequested;
        if (stop) await podHost.StopAsync(running);
        var exit = await running.Exited;
        if (running.Unsure) await MarkExitUnknownAsync(pod, exit);
        await podHost.ForgetAsync(running, leaving.Token);
        return why.Length > 0 ? why : exit;
    }

    /// <summary>
    /// Takes a pod whose exit was not observed out of dispatch. It keeps its devices until its host confirms that it no
    /// longer runs.
    /// </summary>
    private async Task MarkExitUnknownAsync(ManagedPod pod, string why)
    {
        await PersistAsync(() => slots.DownAsync(pod.EndpointId, pod.Id, CancellationToken.None));
        pod.TryMove(r => r with { State = PodState.Stopping, Reason = why },
            PodState.Starting, PodState.Ready, PodState.Draining, PodState.Stopping);
        await PersistAsync(() => PutAsync(pod));
    }

    /// <summary>Stores the current step of a start that takes long as the pod's reason.</summary>
    private void ReportProgress(ManagedPod pod, string words)
    {
        if (pod.TryMove(r => r with { Reason = words }, PodState.Starting)) _ = PersistAsync(() => PutAsync(pod));
    }

    private void NotReadyYet(ManagedPod pod, string seen)
    {
        NotReady(pod.Id, pod.EndpointId, seen);
        ReportProgress(pod, seen);
    }

    /// <summary>
    /// Waits for readiness and adds the pod to dispatch. Returns an empty text if it is ready or was requested to stop,
    /// and else the reason of the failure.
    /// </summary>
    private async Task<string> BecomeReadyAsync(ManagedPod pod, RunningPod running)
    {
        using var waiting = new CancellationTokenSource();
        var ready = probe.WaitReadyAsync(running, seen => NotReadyYet(pod, seen), waiting.Token);
        if (await Task.WhenAny(ready, pod.StopRequested) != ready)
        {
            await waiting.CancelAsync();
            await Task.WhenAny(ready);
            return "";
        }

        if (await ready is { } why) return why;

        var now = time.GetUtcNow();
        var orderedAt = pod.OrderedAt ?? running.Ordered;
        var total = time.GetElapsedTime(orderedAt).TotalMilliseconds;
        var placed = time.GetElapsedTime(orderedAt, running.Ordered);
        var stages = running.Adopted
            ? running.Stages
            : StartStages.Combine(placed, running.HostStages, running.Stages, total);
        running.Address = running.Address with { ReadyAt = now, Start = StartStages.Pack(stages) };
        await PersistAsync(() => slots.UpAsync(pod.EndpointId, running.Address, CancellationToken.None));
        pod.TryMove(r => r with { State = PodState.Ready, ReadyAt = now, Stages = stages, Reason = "ready" },
            PodState.Starting);
        foreach (var stage in running.Adopted ? [] : stages)
        {
            var label = StartStages.Label(stage.Name);
            ColdStart.Record(stage.Ms / 1000, Tag("endpoint", pod.EndpointId), Tag("stage", label));
        }

        Ready(pod.Id, pod.EndpointId, total);
        await PersistAsync(() => PutAsync(pod));
        await ForgetFailuresAsync(pod.EndpointId, keep: 0);
        ReconcileRequested?.Invoke(pod.EndpointId);
        return "";
    }

    private async Task EndAsync(ManagedPod pod, string why)
    {
        var requested = pod.StopRequested.IsCompleted;
        var last = pod.Record;
        try
        {
            await RecordEndAsync(pod, requested, why);
        }
        catch (Exception e)
        {
            Broke(pod.Id, pod.EndpointId, e);
        }

        own.TryRemove(pod.Id, out _);
        Ended?.Invoke(new PodEnd(pod.Record, !requested,
            last.ReadyAt is { } ready && time.GetUtcNow() - ready >= StartBackoff.ProvenAfter));
    }

    private async Task RecordEndAsync(ManagedPod pod, bool requested, string why)
    {
        await PersistAsync(() => slots.DownAsync(pod.EndpointId, pod.Id, CancellationToken.None));
        Exits.Add(1, Tag("endpoint", pod.EndpointId), Tag("reason", requested ? "stopped" : "failed"));
        if (requested)
        {
            own.TryRemove(pod.Id, out _);
            await PersistAsync(() => store.RemoveAsync(pod.EndpointId, pod.Id, CancellationToken.None));
            Stopped(pod.Id, pod.EndpointId, why);
        }
        else
        {
            Failed(pod.Id, pod.EndpointId, why);
            var output = pod.Running?.LastOutput ?? [];
            pod.TryMove(r => r with { State = PodState.Failed, Reason = why, LastOutput = output },
                PodState.Starting, PodState.Ready, PodState.Draining, PodState.Stopping);
            await PersistAsync(() => PutAsync(pod));
            own.TryRemove(pod.Id, out _);
            await ForgetFailuresAsync(pod.EndpointId, KeptFailures);
        }
    }

    private async Task PutAsync(ManagedPod pod)
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
        var pods = await store.ListAsync(endpointId, CancellationToken.None);
        var failed = pods.Where(p => p.State == PodState.Failed && p.HostId == host.Value);
        foreach (var pod in failed.SkipLast(keep))
            await store.RemoveAsync(endpointId, pod.Id, CancellationToken.None);
    });

    /// <summary>Retries a write until Redis accepts it. While the gateway shuts down, it is tried once.</summary>
    private async Task PersistAsync(Func<Task> write)
    {
        while (true)
        {
            try
            {
                await write();
                return;
            }
            catch (Exception e) when (RedisErrors.Is(e) || RedisFaults.Of(e) == RedisFault.WrongData)
            {
                // A key of the wrong type is retried too: the worker itself is healthy and keeps running.
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

    [LoggerMessage(LogLevel.Error, "Worker {Worker} of {Endpoint}: an operation failed with an internal error")]
    private partial void Broke(string worker, string endpoint, Exception e);
}
