using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Sluice.ControlPlane.Machine;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Scaling;
using Sluice.Hosting;
using Sluice.Hosting.Processes;
using Sluice.Shared;
using Sluice.Storage.Catalog;
using Sluice.Storage.Fleet;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;

namespace Sluice.ControlPlane;

/// <summary>
/// Reconciles the running pods with the declarations and the demand, once a second and whenever a request is queued.
/// Every gateway manages its own host's pods. The leader also decides how many run, and removes what lost gateways and
/// hosts left behind.
/// </summary>
public sealed partial class Reconciler : BackgroundLoop
{
    /// <summary>Duration of a host's lease. A host that does not renew it is lost, with its pods.</summary>
    public static readonly TimeSpan HostLease = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Interval of the search for unmanaged pods on this host: half of the minute within which an orphan must be
    /// removed.
    /// </summary>
    private static readonly TimeSpan AdoptEvery = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan TickEvery = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Pause between two checks whether the pods of a host that shuts down still have requests of other gateways.
    /// </summary>
    private static readonly TimeSpan FinishCheckPause = TimeSpan.FromMilliseconds(100);

    /// <summary>
    /// How long requests of other gateways may take at least at the pods of a host that shuts down, even if the host's
    /// own requests have used up its shutdown timeout.
    /// </summary>
    private static readonly TimeSpan LeastPatience = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Number of endpoints that one round processes concurrently. At a round trip of 5 ms to Redis, 500 endpoints take
    /// 8 times two of these. Redis and the connection process 64 scripts together in under a millisecond.
    /// </summary>
    private const int MaxLooks = 64;

    /// <summary>Pause between two rounds, which combines a burst of wake-ups into one round.</summary>
    private static readonly TimeSpan Debounce = TimeSpan.FromMilliseconds(10);

    private readonly TaskScheduler oneAtATime = new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler;
    private readonly Channel<string> wakes = Channel.CreateUnbounded<string>();
    private readonly ConcurrentDictionary<string, EndpointReconcileState> keepers = [];
    private readonly HostId host;
    private readonly CatalogWatcher catalog;
    private readonly PodStore store;
    private readonly PodManager fleet;
    private readonly WorkerSlotStore slots;
    private readonly LeaderElection leadership;
    private readonly ScalingDecisionLog decisions;
    private readonly GpuAllocator gpus;
    private readonly GpuStore gpuStore;
    private readonly GpuInventory inventory;
    private readonly PodLivenessProber witness;
    private readonly TimeProvider time;
    private readonly ILogger<Reconciler> logger;
    private readonly Dictionary<string, (long Epoch, HashSet<string> Pods)> deadBefore = [];
    private Task<IReadOnlyList<RunningPod>?>? search;
    private DateTimeOffset nextSearch;
    private bool searched;
    private volatile bool searchNow;
    private long leads;

    public Reconciler(
        HostId host,
        CatalogWatcher catalog,
        PodStore store,
        PodManager fleet,
        WorkerSlotStore slots,
        LeaderElection leadership,
        ScalingDecisionLog decisions,
        GpuInventory inventory,
        GpuStore gpuStore,
        EndpointDeletions deletions,
        TimeProvider time,
        ILogger<Reconciler> logger)
        : base(time, logger)
    {
        this.host = host;
        this.catalog = catalog;
        this.store = store;
        this.fleet = fleet;
        this.slots = slots;
        this.leadership = leadership;
        this.decisions = decisions;
        this.inventory = inventory;
        this.gpuStore = gpuStore;
        this.deletions = deletions;
        this.time = time;
        this.logger = logger;
        gpus = new GpuAllocator(inventory, gpuStore);
        witness = new PodLivenessProber(fleet.IsRunningAsync, CannotWitness);
        inventory.Changed += () => Wake("");
        CoreMeter.Meter.CreateObservableGauge("sluice.gpu.waiting", MeasureWaiting, "{worker}",
            "Workers that wait for a GPU (reported by the leader only).");
        slots.Woken += Wake;
        fleet.ReconcileRequested += Wake;
        fleet.Ended += OnEnded;
        catalog.Changed += OnChanged;
        store.OnReconnected(OnReconnected);
    }

    /// <summary>Requests that an endpoint is reconciled now instead of at the next tick.</summary>
    public void Wake(string endpointId) => wakes.Writer.TryWrite(endpointId);

    /// <summary>
    /// Stops this host's pods, unless they are kept for the next process. Requests of other gateways may finish, within
    /// the rest of the shutdown timeout and for <see cref="LeastPatience"/> at least.
    /// </summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        // The resignation comes first, so that the next leader starts replacements for this host's pods.
        var reachable = await TryStoreAsync(leadership.ResignAsync);
        if (reachable && !fleet.KeepsPods) reachable = await TryStoreAsync(() => LetFinishAsync(cancellationToken));
        var ended = fleet.StopAllAsync();
        while (reachable && !ended.IsCompleted
            && await Task.WhenAny(ended, Task.Delay(TickEvery, time, CancellationToken.None)) != ended)
            reachable = await TryStoreAsync(() => store.RenewHostAsync(host.Value, HostLease, CancellationToken.None));
        await ended;
        // If the pods keep running, the host's lease is left to expire: another leader removes the pods only if no
        // process of this host adopts them within the lease.
        if (reachable && !fleet.KeepsPods)
            await TryStoreAsync(() => store.RenewHostAsync(host.Value, TimeSpan.Zero, CancellationToken.None));
    }

    /// <summary>
    /// Waits until the requests at this host's pods have finished. The host's lease is renewed until then, so that the
    /// leader does not remove the pods.
    /// </summary>
    private async Task LetFinishAsync(CancellationToken patience)
    {
        var since = time.GetTimestamp();
        while (await fleet.DrainForShutdownAsync(CancellationToken.None)
            && !(patience.IsCancellationRequested && time.GetElapsedTime(since) >= LeastPatience))
        {
            await store.RenewHostAsync(host.Value, HostLease, CancellationToken.None);
            foreach (var endpoint in fleet.Endpoints.ToList())
                await slots.ReapAsync(endpoint, CancellationToken.None);
            await Task.Delay(FinishCheckPause, time, CancellationToken.None);
        }
    }

    /// <summary>
    /// Writes to Redis during the shutdown. Returns false if that fails: the leases then expire, and the shutdown waits
    /// for nothing else.
    /// </summary>
    private async Task<bool> TryStoreAsync(Func<Task> write)
    {
        try
        {
            await write();
            return true;
        }
        catch (Exception e)
        {
            // The shutdown continues, because this host's pods must stop in any case.
            if (!RedisErrors.Is(e)) Broke("all endpoints", e);
            return false;
        }
    }

    /// <summary>
    /// Runs the loop on a scheduler that executes one task at a time: the endpoints of a round wait for Redis
    /// concurrently, and their changes need no locks.
    /// </summary>
    protected override Task RunAsync(CancellationToken ct) => Task.Factory.StartNew(
        () => LoopAsync(ct), CancellationToken.None, TaskCreationOptions.DenyChildAttach, oneAtATime).Unwrap();

    /// <summary>
    /// Completes when all loops have ended: a renewal after the resignation would prevent another gateway from leading.
    /// </summary>
    private async Task LoopAsync(CancellationToken ct)
    {
        await catalog.Loaded.WaitAsync(ct);
        await Task.WhenAll(TickAsync(ct), Task.Run(() => RenewLoopAsync(ct), CancellationToken.None),
            new LoopGuard("Reconciling", time, logger).RunAsync(RoundsAsync, ct));
    }

    private async Task RoundsAsync(CancellationToken ct)
    {
        while (await wakes.Reader.WaitToReadAsync(ct))
        {
            var wanted = new HashSet<string>();
            while (wakes.Reader.TryRead(out var endpoint)) wanted.Add(endpoint);
            await RoundAsync(wanted, ct);
            await Task.Delay(Debounce, time, ct);
        }
    }

    private async Task TickAsync(CancellationToken ct)
    {
        using var timer = new PeriodicTimer(TickEvery, time);
        do Wake("");
        while (await timer.WaitForNextTickAsync(ct));
    }

    private async Task RoundAsync(HashSet<string> endpoints, CancellationToken ct)
    {
        try
        {
            IReadOnlySet<string>? living = null;
            if (endpoints.Remove("")) living = await store.RenewHostAsync(host.Value, HostLease, ct);
            await TakeOverAsync(ct);
            // The pods that already run here must be known before any pod is started, or decided on for other hosts.
            if (!searched) return;
            if (living is not null)
            {
                witness.DiscardOld(time.GetUtcNow());
                leads = leadership.Epoch;
                endpoints.UnionWith(catalog.Current.Deployments.Select(d => d.Endpoint.Id));
                endpoints.UnionWith(await store.EndpointsAsync(ct));
                endpoints.UnionWith(fleet.Endpoints);
                if (leads > 0) endpoints.UnionWith(await DeletedAsync(ct));
                else deadBefore.Clear();
                if (leads > 0) await gpus.RefreshAsync(leads, ct);
            }
            else if (leads != leadership.Epoch)
            {
                // The first round of a new leader covers all endpoints.
                leads = 0;
            }

            await ConcurrentRuns.ForEachAsync(endpoints, MaxLooks, endpoint => ReconcileSafelyAsync(endpoint, living, ct));
            await PlaceAsync(endpoints, ct);
            // Only the leader starts pods.
            IReadOnlyList<Deployment> prepared = leads > 0 ? [.. catalog.Current.Deployments] : [];
            if (living is not null) await Task.Run(() => fleet.Prepare(prepared), ct);
        }
        catch (Exception e) when (RedisErrors.Is(e) && !ct.IsCancellationRequested)
        {
            CannotReconcile(e.Message);
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            // An exception that ended this loop would stop the gateway.
            Broke("all endpoints", e);
        }
    }

    /// <summary>
    /// Searches this host for unmanaged pods, concurrently with this loop: a daemon that hangs must not delay the
    /// renewal of the host's lease. Pods that were found are adopted.
    /// </summary>
    private async Task TakeOverAsync(CancellationToken ct)
    {
        if (search is null && (searchNow || time.GetUtcNow() >= nextSearch))
        {
            searchNow = false;
            search = Task.Run(() => SearchAsync(ct), ct);
        }

        if (search is not { IsCompleted: true }) return;
        if (await search is { } found) await fleet.TakeOverAsync(found, ct);
        (search, searched, nextSearch) = (null, true, time.GetUtcNow() + AdoptEvery);
        known.TrySetResult();
    }

    private async Task<IReadOnlyList<RunningPod>?> SearchAsync(CancellationToken ct)
    {
        var found = await fleet.FindUnmanagedAsync(ct);
        Wake("");
        return found;
    }

    /// <summary>Reconciles one endpoint. An error does not affect the other endpoints.</summary>
    private async Task ReconcileSafelyAsync(string endpointId, IReadOnlySet<string>? living, CancellationToken ct)
    {
        try
        {
            await ReconcileAsync(endpointId, living, ct);
        }
        catch (Exception e) when (!RedisErrors.Is(e) && !ct.IsCancellationRequested)
        {
            Broke(endpointId, e);
        }
    }

    private async Task ReconcileAsync(string endpointId, IReadOnlySet<string>? living, CancellationToken ct)
    {
        // Every gateway does this: expired slot leases must be reaped even if leaders fail one after another.
        if (living is not null) await slots.ReapAsync(endpointId, ct);
        var epoch = leads;
        if (epoch == 0 && !fleet.HasPodsOf(endpointId)) return;
        // Both commands are sent without waiting, and their replies are awaited together.
        var (looking, reading) = (store.ReadAsync(endpointId, epoch, ct), slots.SnapshotAsync(endpointId, ct));
        await Task.WhenAll(looking, reading);
        var (look, snapshot) = (await looking, await reading);
        var deployment = catalog.Current.Find(endpointId);
        // A catalog without declarations means that Redis has lost its data: the pods are kept until the manifest is
        // restored.
        var max = deployment?.Endpoint.Scaling.Max ?? (catalog.State.IsLost ? int.MaxValue : 0);
        var found = await fleet.ReconcilePodsAsync(endpointId, max, snapshot, look, ct);
        if (look.Stale) leadership.RecordLost(epoch);
        if (epoch == 0 || look.Stale) return;
        if (found)
        {
            Wake(endpointId);
            return;
        }

        if (living is not null && snapshot.Queued > 0 && snapshot.Workers.Any(w => w.Free > 0))
            await slots.OfferAsync(endpointId, ct);

        var startTimeout = deployment?.Template.StartTimeout ?? TimeSpan.Zero;
        if (living is not null)
            look = await RemoveLostPodsAsync(endpointId, look, snapshot, living, epoch, startTimeout, ct);
        if (deployment is not null) await LeadAsync(deployment, snapshot, look, epoch, ct);
        else await RemoveEndpointAsync(endpointId, look, epoch, ct);
    }

    /// <summary>The leader's work for a declared endpoint.</summary>
    private async Task LeadAsync(
        Deployment deployment,
        EndpointSnapshot snapshot,
        FleetSnapshot look,
        long epoch,
        CancellationToken ct)
    {
        var id = deployment.Endpoint.Id;
        var keeper = keepers.GetOrAdd(id, _ => new EndpointReconcileState());
        var fingerprint = PodFingerprint.Compute(deployment);
        keeper.SetFingerprint(fingerprint);
        if (keeper.Epoch != epoch) keeper.Resume(epoch, await decisions.ResumeAsync(id, ct));
        var now = time.GetUtcNow();
        // Only a worker of this declaration that became ready after the last failure resets the backoff.
        var proven = look.Pods.Where(p => p.State == PodState.Ready && p.Fingerprint == fingerprint
            && now - p.ReadyAt >= StartBackoff.ProvenAfter);
        foreach (var pod in proven) keeper.RecordProven(pod.ReadyAt!.Value);
        foreach (var pod in FailedPodRetention.Obsolete(look.Pods, fingerprint)) await store.RemoveAsync(id, pod.Id, ct);
        var plan = FleetPlan.Make(deployment, fingerprint, look, snapshot, keeper.Scale, keeper.Backoff, now);
        keeper.Scale = plan.Scale.Next;
        keeper.Refusal = plan.Scale.Refuses;
        // The rejected requests are covered by the new start, or do not result from failed starts.
        if (snapshot.Refused > 0 && (plan.Start > 0 || !keeper.Backoff.Blocks))
            await slots.ForgetRefusedAsync(id, ct);
        plan = DrainPodsWithoutClaim(plan, await gpus.ReconcileClaimsAsync(id, look.Pods, ct), id, look);
        if (deployment.Template.Gpu is not null)
        {
            NoteSpare(deployment.Endpoint, keeper, look, snapshot);
            plan = plan with { Resume = [.. plan.Resume.Where(p => !keeper.Reclaimed.Contains(p))] };
            plan = RequestDevices(deployment, fingerprint, epoch, plan, look, snapshot);
        }
        else
        {
            gpus.CancelRequest(id);
        }

        var note = ScalingDecisionRecord.Create(deployment.Endpoint.Scaling, plan.Load, plan.Scale, plan.Start,
            plan.Drain.Count, plan.Resume.Count, now);
        keeper.Noted = note with { Trouble = keeper.Trouble };
        await decisions.PublishAsync(id, epoch, keeper.Noted, keeper.Scale, ct);
        if (!await ExecuteAsync(deployment, fingerprint, epoch, plan, ct)) return;
        // The wait state of endpoints with a device request is stored after all endpoints of this round.
        if (!gpus.HasRequest(id)) await StoreWaitAsync(id, keeper, null, ct);
        var anyReady = look.Pods.Any(p => p.State == PodState.Ready);
        await UpdateBlockAsync(deployment.Endpoint, keeper, anyReady, snapshot, ct);
    }

    /// <summary>Orders the starts and drains of a plan. Returns false if a start was rejected.</summary>
    private async Task<bool> ExecuteAsync(
        Deployment deployment,
        string fingerprint,
        long epoch,
        FleetPlan plan,
        CancellationToken ct)
    {
        for (var i = 0; i < plan.Start; i++)
        {
            var answer = await fleet.StartAsync(deployment, fingerprint, epoch, WithoutDevices(deployment), ct);
            if (answer == StartDecision.Stale) leadership.RecordLost(epoch);
            if (answer != StartDecision.Taken) return false;
        }

        var id = deployment.Endpoint.Id;
        if (plan.Drain.Count + plan.Resume.Count > 0)
        {
            if (await store.SetDrainAsync(id, epoch, plan.Drain, plan.Resume, ct)) Wake(id);
            else leadership.RecordLost(epoch);
        }

        return true;
    }

    /// <summary>
    /// Updates the stored block if it differs from the current one: another leader may have written it, or Redis may
    /// have lost it.
    /// </summary>
    private async Task UpdateBlockAsync(
        Endpoint endpoint,
        EndpointReconcileState keeper,
        bool anyReady,
        EndpointSnapshot snapshot,
        CancellationToken ct)
    {
        var now = time.GetUtcNow();
        var blocked = keeper.GetBlock(endpoint, anyReady, now);
        if (blocked != snapshot.Blocked) await slots.BlockAsync(endpoint.Id, blocked, now, ct);
    }

    /// <summary>
    /// Removes the pods of lost hosts, and those whose process has ended: if the gateways of one machine fail one after
    /// another, the removal does not have to wait until each host's lease expires.
    /// </summary>
    private async Task<FleetSnapshot> RemoveLostPodsAsync(
        string endpointId,
        FleetSnapshot look,
        EndpointSnapshot snapshot,
        IReadOnlySet<string> living,
        long epoch,
        TimeSpan startTimeout,
        CancellationToken ct)
    {
        var now = time.GetUtcNow();
        var here = inventory.Current.Gpus.SelectMany(g => g.Slices.Select(s => s.Uuid).Prepend(g.Uuid)).ToHashSet();
        var others = look.Pods.Where(p => p.HostId != host.Value).ToDictionary(p => p, IsRunning);
        var dead = others.Where(p => p.Value == false).Select(p => p.Key.Id).ToHashSet();
        // In the first round of a new leader, one observation is enough: the previous leader observed the pods too, and
        // is lost.
        var isNext = deadBefore.TryGetValue(endpointId, out var last) && last.Epoch == epoch;
        var before = isNext ? last.Pods : epoch > 0 ? dead : [];
        deadBefore[endpointId] = (epoch, dead);
        var lost = new LostPodPolicy(living, before,
            snapshot.Workers.Where(w => w.Draining).Select(w => w.PodId).ToHashSet(), here, startTimeout);
        var gone = others.Where(p => lost.IsLost(p.Key, p.Value, now)).Select(p => p.Key.Id).ToHashSet();
        foreach (var pod in look.Pods.Where(p => gone.Contains(p.Id)))
        {
            HostGone(pod.Id, endpointId, pod.HostId);
            await slots.DownAsync(endpointId, pod.Id, ct);
            await store.RemoveAsync(endpointId, pod.Id, ct);
        }

        return look with { Pods = [.. look.Pods.Where(p => !gone.Contains(p.Id))] };

        bool? IsRunning(Pod pod)
        {
            if (ProcessIdentity.IsRunning(pod.Mark) is { } runs) return runs;
            var asksHost = !living.Contains(pod.HostId) && pod.Devices.Any(here.Contains);
            return asksHost ? witness.IsRunning(pod.Id, now, ct) : null;
        }
    }

    private void OnEnded(PodEnd end)
    {
        if (end.Failed && keepers.TryGetValue(end.Pod.EndpointId, out var keeper))
        {
            var pause = keeper.RecordFailure(end, time.GetUtcNow());
            _ = WakeAfterAsync(end.Pod.EndpointId, pause);
        }

        Wake(end.Pod.EndpointId);
    }

    private async Task WakeAfterAsync(string endpointId, TimeSpan pause)
    {
        await Task.Delay(pause, time, CancellationToken.None);
        Wake(endpointId);
    }

    /// <summary>
    /// Redis may have lost its last writes, so this host compares its pods with their records immediately.
    /// </summary>
    private void OnReconnected()
    {
        fleet.Relist();
        searchNow = true;
        Wake("");
    }

    private void OnChanged(EndpointCatalog changed)
    {
        // This includes the state of a gateway that no longer leads. A catalog without declarations means that Redis
        // has lost its data, and the declarations will be restored.
        if (changed.Deployments.Count > 0)
        {
            foreach (var id in keepers.Keys)
                if (changed.Find(id) is null) keepers.TryRemove(id, out _);
            decisions.Retain(id => changed.Find(id) is not null);
        }

        foreach (var deployment in changed.Deployments) Wake(deployment.Endpoint.Id);
    }

    [LoggerMessage(LogLevel.Warning, "Worker {Worker} of {Endpoint} removed: it was lost with its host {Host}")]
    private partial void HostGone(string worker, string endpoint, string host);

    [LoggerMessage(LogLevel.Warning,
        "State of a silent gateway's workers on this host is unknown, and their GPUs stay allocated: {Error}")]
    private partial void CannotWitness(string error);

    [LoggerMessage(LogLevel.Warning,
        "Reconciliation postponed, because Redis is unavailable; running workers are not affected: {Error}")]
    private partial void CannotReconcile(string error);

    [LoggerMessage(LogLevel.Error,
        "Reconciliation of {Endpoint} failed with an internal error and is retried in the next round")]
    private partial void Broke(string endpoint, Exception e);
}
