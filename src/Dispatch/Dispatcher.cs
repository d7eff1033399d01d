using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Sluice.Domain.Fleet;
using Sluice.Domain.Schema;
using Sluice.Shared;
using Sluice.Storage.Background;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;

namespace Sluice.Dispatch;

/// <summary>
/// Assigns worker slots to the requests of this gateway. It starts and ticks one <see cref="EndpointDispatch"/> loop
/// per endpoint, and delivers the messages of other gateways to them.
/// </summary>
public sealed partial class Dispatcher : BackgroundLoop
{
    /// <summary>
    /// The number of idle ticks after which the loop of an undeclared endpoint ends: longer than any call that was
    /// admitted before the deletion takes to arrive here.
    /// </summary>
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

    /// <param name="gatewayId">Unique among all gateways and across restarts; must not contain <c>|</c>, <c>~</c> or
    /// line breaks.</param>
    /// <param name="redis">The shared connection to Redis.</param>
    /// <param name="workers">The store of worker slots.</param>
    /// <param name="time">The clock of deadlines.</param>
    /// <param name="logger">Receives Redis faults.</param>
    public Dispatcher(GatewayId gatewayId, RedisStore redis, WorkerSlotStore workers, TimeProvider time,
        ILogger<Dispatcher> logger) : base(time, logger)
    {
        Id = gatewayId;
        this.redis = redis;
        this.workers = workers;
        this.time = time;
        this.logger = logger;
        scripts = new DispatchScripts(redis);
        SluiceMeter.Meter.CreateObservableGauge(MetricNames.RequestsInFlight, () => Measure(d => d.Busy), "{request}",
            "Requests of this gateway that workers are processing.");
    }

    public GatewayId Id { get; }

    /// <summary>Runs the jobs of this gateway. While it is null, no jobs are claimed.</summary>
    public IJobRunner? Runner { get; set; }

    /// <summary>
    /// Completes when this gateway receives the messages of other gateways. Before that, their grants arrive with the
    /// next renewal.
    /// </summary>
    public Task Subscribed => subscribed.Task;

    /// <summary>Acquires a slot of the endpoint, immediately or after waiting in its queue.</summary>
    public ValueTask<AcquireResult> AcquireAsync(string endpointId, SlotRequest request, CancellationToken ct) =>
        For(endpointId).AcquireAsync(
            redis.Schema.Allows(SchemaVersions.Tokens) ? request : request with { Tokens = 0 }, ct);

    /// <summary>Looks for a free slot after a job was queued.</summary>
    public void JobQueued(string endpointId) => For(endpointId).OnFree();

    /// <summary>Stops a job that this gateway may be running.</summary>
    public void StopJob(string endpointId, string job)
    {
        if (endpoints.TryGetValue(endpointId, out var entry)) entry.Value.Dispatch.OnStop(job);
    }

    /// <summary>Sets the declared endpoints. The loops of other endpoints end when they are idle.</summary>
    public void Retain(IEnumerable<string> endpointIds) => declared = [.. endpointIds];

    /// <summary>
    /// Whether a worker of the endpoint that this gateway has seen reports how many tokens it can hold.
    /// </summary>
    public bool HasTokenLimits(string endpointId) =>
        endpoints.TryGetValue(endpointId, out var entry) && entry.Value.Dispatch.HasTokenLimits;

    /// <summary>The number of endpoints with a loop.</summary>
    internal int Loops => endpoints.Count;

    /// <summary>The number of requests to this endpoint that this gateway has sent to workers.</summary>
    public int Busy(string endpointId) => For(endpointId).Busy;

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        foreach (var entry in Entries()) entry.Dispatch.Close();
        await stopping.CancelAsync();
        foreach (var entry in Entries())
        {
            await entry.Running;
            await LeaveAsync(entry);
        }
    }

    public override void Dispose()
    {
        stopping.Dispose();
        base.Dispose();
    }

    /// <summary>Renews leases even while the message channels cannot be subscribed.</summary>
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
        using var timer = SharedTicks.Every(Leases.RenewEvery, time);
        while (await timer.WaitForNextTickAsync(ct))
        {
            foreach (var entry in Entries()) entry.Dispatch.Tick();
            Retire();
        }
    }

    /// <summary>Ends the loops of deleted endpoints that have been idle for <see cref="RetireAfter"/> ticks.</summary>
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
        // The leader checks whether a block is its own: one of an earlier leader may be stored late.
        if (kind is "waiting" or "blocked" or "wake") workers.Wake(endpoint);
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
        var state = new EndpointState(endpointId, Id.Value, time);
        var dispatch = new EndpointDispatch(state, time);
        var exchange = new EndpointExchange(state, dispatch, time);
        var loop = new EndpointDispatchLoop(state, dispatch, exchange, scripts, workers, () => Runner, time, logger);
        var guard = new LoopGuard($"Dispatch of endpoint {endpointId}", time, logger);
        var running = Task.Run(() => guard.RunAsync(loop.RunAsync, stopping.Token), CancellationToken.None);
        return new Entry(dispatch, loop, running);
    }

    private async Task LeaveAsync(Entry entry)
    {
        try
        {
            await entry.Loop.LeaveAsync();
        }
        catch (Exception e)
        {
            SlotReturnFailed(entry.Dispatch.EndpointId, e.Message);
        }
    }

    private IEnumerable<Entry> Entries() => endpoints.Values.Select(e => e.Value);

    private IEnumerable<Measurement<int>> Measure(Func<EndpointDispatch, int> read) => Entries()
        .Select(e => new Measurement<int>(
            read(e.Dispatch),
            KeyValuePair.Create("endpoint", (object?)e.Dispatch.EndpointId)));

    private sealed record Entry(EndpointDispatch Dispatch, EndpointDispatchLoop Loop, Task Running)
    {
        /// <summary>The number of ticks for which the endpoint has been idle and undeclared.</summary>
        public int IdleTicks { get; set; }
    }

    [LoggerMessage(LogLevel.Warning,
        "Returning the slots of endpoint {Endpoint} failed; they become free when the lease expires: {Error}")]
    private partial void SlotReturnFailed(string endpoint, string error);
}
