using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Sluice.Core.Autoscaling;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;
using Sluice.Core.Gpus;
using Sluice.Core.Redis;

namespace Sluice.Core.Workers;

/// <summary>
/// Brings what runs to what is declared and asked for, once a second and whenever a request queues. Every gateway keeps
/// its own host's pods; the leader also decides how many run, and takes away what dead gateways and hosts left.
/// </summary>
public sealed partial class Reconciler : BackgroundLoop
{
    /// <summary>A host that says nothing for this long is gone, with its pods.</summary>
    public static readonly TimeSpan HostLease = TimeSpan.FromSeconds(10);

    /// <summary>How often this host is looked over for pods that nobody knows of: half of the minute within which an orphan must be gone.</summary>
    private static readonly TimeSpan AdoptEvery = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan TickEvery = TimeSpan.FromSeconds(1);

    /// <summary>Between two looks whether the pods of a host that stops have requests of others.</summary>
    private static readonly TimeSpan FinishLook = TimeSpan.FromMilliseconds(100);

    /// <summary>What others have at the pods of a host that stops may take this long, also where its own requests have used up its patience.</summary>
    private static readonly TimeSpan LeastPatience = TimeSpan.FromSeconds(5);

    /// <summary>Endpoints that one round looks at side by side: with 5 ms to Redis and back, 500 endpoints take 8 times two of these. Redis and the
    /// connection take 64 scripts in one go in under a millisecond.</summary>
    private const int MaxLooks = 64;

    /// <summary>Between two rounds: a burst of wakes is one round.</summary>
    private static readonly TimeSpan Breath = TimeSpan.FromMilliseconds(10);

    private readonly TaskScheduler oneAtATime = new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler;
    private readonly Channel<string> wakes = Channel.CreateUnbounded<string>();
    private readonly ConcurrentDictionary<string, EndpointKeeper> keepers = [];
    private readonly HostId host;
    private readonly CatalogWatcher catalog;
    private readonly PodStore store;
    private readonly PodFleet fleet;
    private readonly WorkerSlotStore slots;
    private readonly Leadership leadership;
    private readonly DecisionLog decisions;
    private readonly GpuDesk gpus;
    private readonly GpuStore gpuStore;
    private readonly GpuInventory inventory;
    private readonly PodWitness witness;
    private readonly TimeProvider time;
    private readonly ILogger<Reconciler> logger;
    private readonly Dictionary<string, (long Epoch, HashSet<string> Pods)> deadBefore = [];
    private Task<IReadOnlyList<RunningPod>?>? search;
    private DateTimeOffset nextSearch;
    private bool searched;
    private volatile bool searchNow;
    private long leads;

    public Reconciler(HostId host, CatalogWatcher catalog, PodStore store, PodFleet fleet, WorkerSlotStore slots,
        Leadership leadership, DecisionLog decisions, GpuInventory inventory, GpuStore gpuStore,
        EndpointDeletions deletions, TimeProvider time, ILogger<Reconciler> logger)
        : base(time, logger)
    {
        (gpus, this.gpuStore, this.inventory) = (new GpuDesk(inventory, gpuStore), gpuStore, inventory);
        witness = new PodWitness(fleet.RunsAsync, CannotWitness);
        inventory.Changed += () => Wake("");
        CoreMeter.Meter.CreateObservableGauge("sluice.gpu.waiting", MeasureWaiting, "{worker}", "Workers that wait for a GPU (at the gateway that leads).");
        (this.host, this.catalog, this.store, this.fleet) = (host, catalog, store, fleet);
        (this.slots, this.leadership, this.decisions, this.time, this.logger) = (slots, leadership, decisions, time, logger);
        slots.Woken += Wake;
        fleet.LookAgain += Wake;
        fleet.Ended += OnEnded;
        catalog.Changed += OnChanged;
        this.deletions = deletions;
        store.OnReconnected(OnReconnected);
    }

    /// <summary>Looks at an endpoint now instead of at the next tick.</summary>
    public void Wake(string endpointId) => wakes.Writer.TryWrite(endpointId);

    /// <summary>Ends this host's pods, unless they go on without it: what other gateways have at them may finish, within what is left of the host's
    /// patience and for <see cref="LeastPatience"/> at least.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        // First: who leads from now on starts others in place of those that go.
        var heard = await TellAsync(leadership.ResignAsync);
        if (heard && !fleet.KeepsPods) heard = await TellAsync(() => LetFinishAsync(cancellationToken));
        var ended = fleet.StopAllAsync();
        while (heard && !ended.IsCompleted && await Task.WhenAny(ended, Task.Delay(TickEvery, time, CancellationToken.None)) != ended)
            heard = await TellAsync(() => store.BeatAsync(host.Value, HostLease, CancellationToken.None));
        await ended;
        // Pods that go on are another leader's to bury only when nobody comes back for them within the lease.
        if (heard && !fleet.KeepsPods) await TellAsync(() => store.BeatAsync(host.Value, TimeSpan.Zero, CancellationToken.None));
    }

    /// <summary>Others must not take this host for dead, and bury its pods, while they finish what they have.</summary>
    private async Task LetFinishAsync(CancellationToken patience)
    {
        var since = time.GetTimestamp();
        while (await fleet.LeaveAsync(CancellationToken.None) && !(patience.IsCancellationRequested && time.GetElapsedTime(since) >= LeastPatience))
        {
            await store.BeatAsync(host.Value, HostLease, CancellationToken.None);
            foreach (var endpoint in fleet.Endpoints.ToList()) await slots.ReapAsync(endpoint, CancellationToken.None);
            await Task.Delay(FinishLook, time, CancellationToken.None);
        }
    }

    /// <summary>Whether Redis heard it; if not, leases end by themselves, and nothing more is waited for.</summary>
    private async Task<bool> TellAsync(Func<Task> tell)
    {
        try
        {
            await tell();
            return true;
        }
        catch (Exception e)
        {
            // This host's pods have to end all the same.
            if (!RedisDown.Is(e)) Broke("all endpoints", e);
            return false;
        }
    }

    /// <summary>Runs the loop on a scheduler that runs one thing at a time: the looks of a round wait for Redis side by side, and what they change
    /// needs no locks.</summary>
    protected override Task RunAsync(CancellationToken ct) => Task.Factory.StartNew(() => LoopAsync(ct), CancellationToken.None,
        TaskCreationOptions.DenyChildAttach, oneAtATime).Unwrap();

    /// <summary>Ends when all of its loops have: a renewal after the resignation would keep the others from leading.</summary>
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
            await Task.Delay(Breath, time, ct);
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
            if (endpoints.Remove("")) living = await store.BeatAsync(host.Value, HostLease, ct);
            await TakeOverAsync(ct);
            // What runs here already is to be known before anything is started, or decided for others.
            if (!searched) return;
            if (living is not null)
            {
                witness.Forget(time.GetUtcNow());
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
                // The first round of a new leader is a whole one.
                leads = 0;
            }

            await SideBySide.ForEachAsync(endpoints, MaxLooks, endpoint => ReconcileSafelyAsync(endpoint, living, ct));
            await PlaceAsync(endpoints, ct);
            // Only whoever leads starts pods.
            IReadOnlyList<Deployment> prepared = leads > 0 ? [.. catalog.Current.Deployments] : [];
            if (living is not null) await Task.Run(() => fleet.Prepare(prepared), ct);
        }
        catch (Exception e) when (RedisDown.Is(e) && !ct.IsCancellationRequested)
        {
            CannotReconcile(e.Message);
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            // The loop's end would be the gateway's.
            Broke("all endpoints", e);
        }
    }

    /// <summary>Has this host looked over beside this loop, for a daemon that hangs must not keep it from saying that its workers live; takes over
    /// what was found.</summary>
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
        var found = await fleet.FindAsync(ct);
        Wake("");
        return found;
    }

    /// <summary>One endpoint's fault is not the others'.</summary>
    private async Task ReconcileSafelyAsync(string endpointId, IReadOnlySet<string>? living, CancellationToken ct)
    {
        try
        {
            await ReconcileAsync(endpointId, living, ct);
        }
        catch (Exception e) when (!RedisDown.Is(e) && !ct.IsCancellationRequested)
        {
            Broke(endpointId, e);
        }
    }

    private async Task ReconcileAsync(string endpointId, IReadOnlySet<string>? living, CancellationToken ct)
    {
        // Every gateway: leaders that die one after another must not keep leases from ending.
        if (living is not null) await slots.ReapAsync(endpointId, ct);
        var epoch = leads;
        if (epoch == 0 && !fleet.Has(endpointId)) return;
        // Sent one after the other, and waited for together.
        var (looking, reading) = (store.LookAsync(endpointId, epoch, ct), slots.SnapshotAsync(endpointId, ct));
        await Task.WhenAll(looking, reading);
        var (look, snapshot) = (await looking, await reading);
        var deployment = catalog.Current.Find(endpointId);
        // Without any declaration Redis has lost its data: what runs is kept until the manifest is there again.
        var max = deployment?.Endpoint.Scaling.Max ?? (catalog.State.IsLost ? int.MaxValue : 0);
        var found = await fleet.KeepAsync(endpointId, max, snapshot, look, ct);
        if (look.Stale) leadership.Lost(epoch);
        if (epoch == 0 || look.Stale) return;
        if (found)
        {
            Wake(endpointId);
            return;
        }

        if (living is not null && snapshot.Queued > 0 && snapshot.Workers.Any(w => w.Free > 0)) await slots.OfferAsync(endpointId, ct);

        var startTimeout = deployment?.Template.StartTimeout ?? TimeSpan.Zero;
        if (living is not null) look = await BuryAsync(endpointId, look, snapshot, living, epoch, startTimeout, ct);
        if (deployment is not null) await LeadAsync(deployment, snapshot, look, epoch, ct);
        else await DissolveAsync(endpointId, look, epoch, ct);
    }

    /// <summary>The leader's part for a declared endpoint.</summary>
    private async Task LeadAsync(Deployment deployment, EndpointSnapshot snapshot, FleetLook look, long epoch, CancellationToken ct)
    {
        var id = deployment.Endpoint.Id;
        var keeper = keepers.GetOrAdd(id, _ => new EndpointKeeper());
        var fingerprint = PodFingerprint.Of(deployment);
        keeper.Follow(fingerprint);
        if (keeper.Epoch != epoch) keeper.Resume(epoch, await decisions.ResumeAsync(id, ct));
        var now = time.GetUtcNow();
        // Only a worker of this declaration proves it, and only one that became ready after the last failure.
        foreach (var pod in look.Pods.Where(p => p.State == PodState.Ready && p.Fingerprint == fingerprint && now - p.ReadyAt >= StartBackoff.ProvenAfter))
            keeper.Proven(pod.ReadyAt!.Value);
        foreach (var pod in FailedPods.Obsolete(look.Pods, fingerprint)) await store.RemoveAsync(id, pod.Id, ct);
        var plan = FleetPlan.Make(deployment, fingerprint, look, snapshot, keeper.Scale, keeper.Backoff, now);
        keeper.Scale = plan.Scale.Next;
        keeper.Refusal = plan.Scale.Refuses;
        // These requests have their start now, or belong to no failed start.
        if (snapshot.Refused > 0 && (plan.Start > 0 || !keeper.Backoff.Blocks)) await slots.ForgetRefusedAsync(id, ct);
        plan = WithoutRobbed(plan, await gpus.SettleAsync(id, look.Pods, ct), id, look);
        if (deployment.Template.Gpu is not null)
        {
            NoteSpare(deployment.Endpoint, keeper, look, snapshot);
            plan = Want(deployment, fingerprint, epoch, plan with { Resume = [.. plan.Resume.Where(p => !keeper.Reclaimed.Contains(p))] }, look, snapshot);
        }
        else gpus.Withdraw(id);
        keeper.Noted = DecisionNote.Create(deployment.Endpoint.Scaling, plan.Load, plan.Scale, plan.Start, plan.Drain.Count, plan.Resume.Count, now)
            with { Trouble = keeper.Trouble };
        await decisions.PublishAsync(id, epoch, keeper.Noted, keeper.Scale, ct);
        for (var i = 0; i < plan.Start; i++)
        {
            var answer = await fleet.StartAsync(deployment, fingerprint, epoch, WithoutDevices(deployment), ct);
            if (answer == OrderAnswer.Stale) leadership.Lost(epoch);
            if (answer != OrderAnswer.Taken) return;
        }

        if (plan.Drain.Count + plan.Resume.Count > 0)
        {
            if (await store.OrderAsync(id, epoch, plan.Drain, plan.Resume, ct)) Wake(id);
            else leadership.Lost(epoch);
        }

        // Those that want devices are told when all of this round have been looked at.
        if (!gpus.Wants(id)) await TellWaitAsync(id, keeper, null, ct);
        await UpdateBlockAsync(deployment.Endpoint, keeper, look.Pods.Any(p => p.State == PodState.Ready), snapshot, ct);
    }

    /// <summary>Brings what Redis has to what holds now: it may have been written by another leader, or lost.</summary>
    private async Task UpdateBlockAsync(Endpoint endpoint, EndpointKeeper keeper, bool anyReady, EndpointSnapshot snapshot, CancellationToken ct)
    {
        var now = time.GetUtcNow();
        var blocked = keeper.Block(endpoint, anyReady, now);
        if (blocked != snapshot.Blocked) await slots.BlockAsync(endpoint.Id, blocked, now, ct);
    }

    /// <summary>Takes away the pods of hosts that are gone, and those whose process is: a machine whose gateways die one after another
    /// need not wait for the end of each host's lease.</summary>
    private async Task<FleetLook> BuryAsync(string endpointId, FleetLook look, EndpointSnapshot snapshot, IReadOnlySet<string> living,
        long epoch, TimeSpan startTimeout, CancellationToken ct)
    {
        var now = time.GetUtcNow();
        var here = inventory.Current.Gpus.SelectMany(g => g.Slices.Select(s => s.Uuid).Prepend(g.Uuid)).ToHashSet();
        var others = look.Pods.Where(p => p.HostId != host.Value).ToDictionary(p => p, p => ProcessMark.Lives(p.Mark)
            ?? (!living.Contains(p.HostId) && p.Devices.Any(here.Contains) ? witness.Lives(p.Id, now, ct) : null));
        var dead = others.Where(p => p.Value == false).Select(p => p.Key.Id).ToHashSet();
        // A new leader's first look does not wait for a second: the one before had them, and is gone.
        var before = deadBefore.TryGetValue(endpointId, out var last) && last.Epoch == epoch ? last.Pods : epoch > 0 ? dead : [];
        deadBefore[endpointId] = (epoch, dead);
        var lost = new LostPods(living, before,
            snapshot.Workers.Where(w => w.Draining).Select(w => w.PodId).ToHashSet(), here, startTimeout);
        var gone = others.Where(p => lost.Has(p.Key, p.Value, now)).Select(p => p.Key.Id).ToHashSet();
        foreach (var pod in look.Pods.Where(p => gone.Contains(p.Id)))
        {
            HostGone(pod.Id, endpointId, pod.HostId);
            await slots.DownAsync(endpointId, pod.Id, ct);
            await store.RemoveAsync(endpointId, pod.Id, ct);
        }

        return look with { Pods = [.. look.Pods.Where(p => !gone.Contains(p.Id))] };
    }

    private void OnEnded(PodEnd end)
    {
        if (end.Failed && keepers.TryGetValue(end.Pod.EndpointId, out var keeper))
        {
            var pause = keeper.Failed(end, time.GetUtcNow());
            _ = WakeAfterAsync(end.Pod.EndpointId, pause);
        }

        Wake(end.Pod.EndpointId);
    }

    private async Task WakeAfterAsync(string endpointId, TimeSpan pause)
    {
        await Task.Delay(pause, time, CancellationToken.None);
        Wake(endpointId);
    }

    /// <summary>Redis may have lost its last writes, so this host compares its pods with their records immediately.</summary>
    private void OnReconnected()
    {
        fleet.Relist();
        searchNow = true;
        Wake("");
    }

    private void OnChanged(Catalog changed)
    {
        // Also those of a gateway that leads no more. Without any declaration Redis has lost its data, and they come back.
        if (changed.Deployments.Count > 0)
        {
            foreach (var id in keepers.Keys)
                if (changed.Find(id) is null) keepers.TryRemove(id, out _);
            decisions.Retain(id => changed.Find(id) is not null);
        }

        foreach (var deployment in changed.Deployments) Wake(deployment.Endpoint.Id);
    }

    [LoggerMessage(LogLevel.Warning, "Worker {Worker} of {Endpoint} is gone with its host {Host}")]
    private partial void HostGone(string worker, string endpoint, string host);

    [LoggerMessage(LogLevel.Warning, "Whether workers of a silent gateway run here cannot be told, and their GPUs stay theirs: {Error}")]
    private partial void CannotWitness(string error);

    [LoggerMessage(LogLevel.Warning, "Redis cannot be asked; what runs goes on running: {Error}")]
    private partial void CannotReconcile(string error);

    [LoggerMessage(LogLevel.Error, "The look at {Endpoint} broke off; the next one goes on: an error of the gateway's own")]
    private partial void Broke(string endpoint, Exception e);
}
