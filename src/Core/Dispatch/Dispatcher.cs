using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Sluice.Core.Redis;

namespace Sluice.Core.Dispatch;

/// <summary>
/// Who may go, who waits: the gateway's entry to dispatch. One <see cref="EndpointDispatch"/> an endpoint; this class
/// starts their loops, ticks them, and brings them the messages of other gateways.
/// </summary>
public sealed partial class Dispatcher : BackgroundLoop
{
    /// <summary>Ticks for which nothing of an endpoint that is not declared must be left before its loop ends: longer than any call that was admitted
    /// before the deletion takes to arrive here.</summary>
    private const int RetireAfter = 60;

    private readonly ConcurrentDictionary<string, Lazy<Entry>> endpoints = [];
    private volatile HashSet<string>? declared;
    private readonly CancellationTokenSource stopping = new();
    private readonly TaskCompletionSource subscribed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly RedisStore redis;
    private readonly WorkerSlotStore workers;
    private readonly DispatchScripts scripts;
    private readonly TimeProvider time;
    private readonly ILogger<Dispatcher> logger;

    /// <param name="gatewayId">Unique among all gateways, also over restarts; without <c>| ~</c> and line ends.</param>
    /// <param name="redis">The shared connection.</param>
    /// <param name="workers">Where slots come from.</param>
    /// <param name="time">The clock of deadlines.</param>
    /// <param name="logger">Where faults of Redis are told.</param>
    public Dispatcher(GatewayId gatewayId, RedisStore redis, WorkerSlotStore workers, TimeProvider time,
        ILogger<Dispatcher> logger) : base(time, logger)
    {
        (Id, this.redis, this.workers, this.time, this.logger) = (gatewayId, redis, workers, time, logger);
        scripts = new DispatchScripts(redis);
        CoreMeter.Meter.CreateObservableGauge("sluice.requests.in_flight", () => Measure(d => d.Busy), "{request}",
            "Requests that this gateway has at workers.");
    }

    public GatewayId Id { get; }

    /// <summary>What runs jobs here; while it is null none is claimed.</summary>
    public IJobRunner? Runner { get; set; }

    /// <summary>Ends once messages of other gateways arrive; before that their grants come with the next renewal.</summary>
    public Task Subscribed => subscribed.Task;

    /// <summary>A slot of the endpoint, at once or after waiting in its queue; or why there is none.</summary>
    public ValueTask<AcquireResult> AcquireAsync(string endpointId, SlotWish wish, CancellationToken ct) =>
        For(endpointId).AcquireAsync(wish, ct);

    /// <summary>A job was queued: look for a slot for it.</summary>
    public void JobQueued(string endpointId) => For(endpointId).OnFree();

    /// <summary>A job that this gateway may be running is not wanted any more.</summary>
    public void StopJob(string endpointId, string job)
    {
        if (endpoints.TryGetValue(endpointId, out var entry)) entry.Value.Dispatch.OnStop(job);
    }

    /// <summary>Which endpoints are declared.</summary>
    public void Retain(IEnumerable<string> endpointIds) => declared = [.. endpointIds];

    /// <summary>Endpoints that have a loop.</summary>
    internal int Loops => endpoints.Count;

    /// <summary>Requests of this endpoint that this gateway has at workers.</summary>
    public int Busy(string endpointId) => For(endpointId).Busy;

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        foreach (var entry in Entries()) entry.Dispatch.Close();
        await stopping.CancelAsync();
        foreach (var entry in Entries())
        {
            await entry.Loop;
            await LeaveAsync(entry);
        }
    }

    public override void Dispose()
    {
        stopping.Dispose();
        base.Dispose();
    }

    /// <summary>Leases are renewed also while messages cannot be subscribed to.</summary>
    protected override Task RunAsync(CancellationToken ct)
    {
        redis.OnReconnected(() =>
        {
            foreach (var entry in Entries()) entry.Dispatch.OnReconnected();
        });
        return Task.WhenAll(
            new LoopGuard("Subscribing to dispatch messages", time, logger).RunAsync(SubscribeAsync, ct),
            new LoopGuard("Renewing leases", time, logger).RunAsync(TickAsync, ct));
    }

    private async Task TickAsync(CancellationToken ct)
    {
        using var timer = new PeriodicTimer(Leases.RenewEvery, time);
        while (await timer.WaitForNextTickAsync(ct))
        {
            foreach (var entry in Entries()) entry.Dispatch.Tick();
            Retire();
        }
    }

    /// <summary>Ends the loops of endpoints that were deleted, once nothing of them is left.</summary>
    private void Retire()
    {
        if (declared is not { } known) return;
        foreach (var (id, entry) in endpoints)
        {
            entry.Value.IdleTicks = !known.Contains(id) && entry.Value.Dispatch.IsIdle ? entry.Value.IdleTicks + 1 : 0;
            if (entry.Value.IdleTicks >= RetireAfter && endpoints.TryRemove(id, out _)) entry.Value.Dispatch.End();
        }
    }

    private async Task SubscribeAsync(CancellationToken ct)
    {
        await redis.SubscribeAsync(DispatchChannels.All, OnMessage, ct);
        await redis.SubscribeAsync(DispatchChannels.Grants(Id.Value), OnGrant, ct);
        subscribed.TrySetResult();
    }

    private void OnMessage(string message)
    {
        var parts = message.Split('|', 3);
        var (kind, endpoint, subject) = (parts[0], parts[1], parts[2]);
        if (kind == "waiting") workers.Wake(endpoint);
        if (kind == "free" && Runner is not null) JobQueued(endpoint);
        if (!endpoints.TryGetValue(endpoint, out var entry)) return;
        var dispatch = entry.Value.Dispatch;
        switch (kind)
        {
            case "waiting": dispatch.OnWaiting(subject); break;
            case "drain": dispatch.OnDrain(subject); break;
            case "down": dispatch.OnDown(subject); break;
            case "blocked": dispatch.OnBlocked(); break;
        }
    }

    private void OnGrant(string message)
    {
        var parts = message.Split('\n');
        For(parts[0]).OnGrant(new SlotGrant(parts[1], parts[2]));
    }

    private EndpointDispatch For(string endpointId) =>
        endpoints.GetOrAdd(endpointId, id => new Lazy<Entry>(() => Start(id))).Value.Dispatch;

    private Entry Start(string endpointId)
    {
        var dispatch = new EndpointDispatch(endpointId, Id.Value, time);
        var exchange = new DispatchExchange(dispatch, scripts, workers, () => Runner, time, logger);
        var guard = new LoopGuard($"Dispatch of endpoint {endpointId}", time, logger);
        return new Entry(dispatch, exchange, Task.Run(() => guard.RunAsync(exchange.RunAsync, stopping.Token), CancellationToken.None));
    }

    private async Task LeaveAsync(Entry entry)
    {
        try
        {
            await entry.Exchange.LeaveAsync();
        }
        catch (Exception e)
        {
            CannotLeave(entry.Dispatch.EndpointId, e.Message);
        }
    }

    private IEnumerable<Entry> Entries() => endpoints.Values.Select(e => e.Value);

    private IEnumerable<Measurement<int>> Measure(Func<EndpointDispatch, int> read) => Entries()
        .Select(e => new Measurement<int>(read(e.Dispatch), KeyValuePair.Create("endpoint", (object?)e.Dispatch.EndpointId)));

    private sealed record Entry(EndpointDispatch Dispatch, DispatchExchange Exchange, Task Loop)
    {
        /// <summary>Ticks for which it has been idle and not declared.</summary>
        public int IdleTicks { get; set; }
    }

    [LoggerMessage(LogLevel.Warning, "Cannot give back the slots of endpoint {Endpoint}; their lease will end: {Error}")]
    private partial void CannotLeave(string endpoint, string error);
}

/// <summary>A gateway process's name: random, new at each start.</summary>
public sealed record GatewayId(string Value);
