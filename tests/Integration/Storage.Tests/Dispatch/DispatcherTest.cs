using System.Threading.Channels;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Dispatch;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Jobs;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using Sluice.Storage.Tests.Jobs;
using Sluice.Testing;
using StackExchange.Redis;

namespace Sluice.Storage.Tests.Dispatch;

/// <summary>Complete dispatchers, as gateways have them, two on one real Redis.</summary>
public sealed partial class DispatcherTest(RedisFixture redis) : IClassFixture<RedisFixture>, IAsyncLifetime
{
    private static int endpoints;

    private readonly string endpoint = $"e{Interlocked.Increment(ref endpoints)}";
    private readonly List<Dispatcher> started = [];
    private readonly CancellationTokenSource deadline = new(TimeSpan.FromMinutes(5));
    private WorkerSlotStore store = null!;

    private CancellationToken Soon => deadline.Token;

    public ValueTask InitializeAsync()
    {
        store = new WorkerSlotStore(redis.Store);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var dispatcher in started) await dispatcher.StopAsync(default);
        deadline.Dispose();
    }

    [Fact]
    public async Task A_released_slot_is_reused_without_a_call_to_Redis()
    {
        var gateway = await GatewayAsync("a");
        await store.UpAsync(endpoint, Worker("p1", 2), Soon);
        var first = await AcquireAsync(gateway);
        var pod = first.Slot!.Worker.PodId;
        first.Slot.Dispose();
        var second = AcquireAsync(gateway);
        Assert.True(second.IsCompletedSuccessfully, "an idle leased slot is given out in process");
        Assert.Equal(pod, (await second).Slot!.Worker.PodId);
        Assert.False((await second).Waited);
    }

    [Fact]
    public async Task Requests_wait_for_a_worker_and_get_slots_in_order()
    {
        var gateway = await GatewayAsync("a");
        var waiting = Enumerable.Range(0, 5).Select(_ => AcquireAsync(gateway)).ToList();
        await QueuedAsync(5);
        await store.UpAsync(endpoint, Worker("p1", 1), Soon);
        foreach (var request in waiting)
        {
            var got = await request;
            Assert.True(got.Waited);
            Assert.Equal(1, waiting.Count(w => w.IsCompleted && w.Result.Slot is { } s && !Ended.Contains(s)));
            Ended.Add(got.Slot!);
            got.Slot!.Dispose();
        }
    }

    [Fact]
    public async Task Flows_take_turns_regardless_of_their_number_of_requests()
    {
        var gateway = await GatewayAsync("a");
        var order = new List<string>();
        var requests = new List<Task>();
        for (var i = 0; i < 6; i++) await QueueAsync("busy");
        await QueueAsync("other");
        await store.UpAsync(endpoint, Worker("p1", 1), Soon);
        await Task.WhenAll(requests);
        Assert.InRange(order.IndexOf("other"), 0, 1);

        async Task QueueAsync(string flow)
        {
            requests.Add(RunAsync(flow));
            await QueuedAsync(requests.Count);
        }

        async Task RunAsync(string flow)
        {
            var got = await gateway.AcquireAsync(endpoint, Request() with { Flow = flow }, Soon);
            order.Add(flow);
            got.Slot!.Dispose();
        }
    }

    [Fact]
    public async Task Two_gateways_share_one_slot_and_neither_starves()
    {
        var (a, b) = (await GatewayAsync("a"), await GatewayAsync("b"));
        await store.UpAsync(endpoint, Worker("p1", 1), Soon);
        var inUse = 0;
        var both = new[] { a, b }.SelectMany(g => Enumerable.Range(0, 50).Select(_ => RunAsync(g)));
        await Task.WhenAll(both);
        Assert.Equal(0, inUse);
        await QuietAsync();

        async Task RunAsync(Dispatcher gateway)
        {
            var got = await AcquireAsync(gateway);
            Assert.Equal(1, Interlocked.Increment(ref inUse));
            await Task.Yield();
            Interlocked.Decrement(ref inUse);
            got.Slot!.Dispose();
        }
    }

    [Fact]
    public async Task An_idle_slot_of_one_gateway_is_granted_to_a_ticket_of_another_immediately()
    {
        var (a, b) = (await GatewayAsync("a"), await GatewayAsync("b"));
        await store.UpAsync(endpoint, Worker("p1", 1), Soon);
        (await AcquireAsync(a)).Slot!.Dispose();
        var got = await AcquireAsync(b);
        Assert.Equal("p1", got.Slot!.Worker.PodId);
        got.Slot.Dispose();
    }

    [Fact]
    public async Task A_full_queue_rejects_requests_with_a_retry_delay()
    {
        var gateway = await GatewayAsync("a");
        var request = Request() with { MaxDepth = 2 };
        _ = gateway.AcquireAsync(endpoint, request, Soon).AsTask();
        _ = gateway.AcquireAsync(endpoint, request, Soon).AsTask();
        await QueuedAsync(2);
        var third = await gateway.AcquireAsync(endpoint, request, Soon);
        Assert.Equal(AcquireRefusal.QueueFull, third.Refusal);
        Assert.Contains("The queue has 2 waiting requests; its limit is 2", third.Detail, StringComparison.Ordinal);
        Assert.True(third.RetryAfter >= TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task A_request_past_its_deadline_leaves_the_queue()
    {
        var gateway = await GatewayAsync("a");
        var request = Request() with { Deadline = TimeSpan.FromMilliseconds(50) };
        var got = await gateway.AcquireAsync(endpoint, request, Soon);
        Assert.Equal(AcquireRefusal.QueueTimeout, got.Refusal);
        await QueuedAsync(0);
    }

    [Fact]
    public async Task A_client_that_disconnects_leaves_the_queue_and_the_next_one_gets_its_slot()
    {
        var gateway = await GatewayAsync("a");
        using var gone = new CancellationTokenSource();
        var first = gateway.AcquireAsync(endpoint, Request(), gone.Token).AsTask();
        await QueuedAsync(1);
        var second = AcquireAsync(gateway);
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        await store.UpAsync(endpoint, Worker("p1", 1), Soon);
        (await second).Slot!.Dispose();
        await QuietAsync();
    }

    [Fact]
    public async Task A_draining_worker_gets_no_more_requests_and_ends_with_no_slot_in_use()
    {
        var gateway = await GatewayAsync("a");
        await store.UpAsync(endpoint, Worker("p1", 4), Soon);
        var running = await AcquireAsync(gateway);
        await store.DrainAsync(endpoint, "p1", Soon);
        // The gateway may keep a spare slot of the worker in its pool until the drain message arrives.
        await UntilAsync(s => s.Workers.Single(w => w.PodId == "p1").Leased == 1);
        var next = AcquireAsync(gateway);
        await QueuedAsync(1);
        await store.UpAsync(endpoint, Worker("p2", 1), Soon);
        Assert.Equal("p2", (await next).Slot!.Worker.PodId);
        Assert.Equal(1, (await SnapshotAsync()).Workers.Single(w => w.PodId == "p1").Leased);
        running.Slot!.Dispose();
        await UntilAsync(s => s.Workers.Single(w => w.PodId == "p1").Leased == 0);
    }

    [Fact]
    public async Task An_unreachable_worker_gets_no_requests()
    {
        var gateway = await GatewayAsync("a");
        await store.UpAsync(endpoint, Worker("p1", 4), Soon);
        (await AcquireAsync(gateway)).Slot!.MarkWorkerUnreachable();
        var next = AcquireAsync(gateway);
        await QueuedAsync(1);
        Assert.True((await SnapshotAsync()).Workers.Single().Draining);
        await store.UpAsync(endpoint, Worker("p1", 4), Soon);
        (await next).Slot!.Dispose();
        await QuietAsync();
    }

    [Fact]
    public async Task Requests_are_rejected_when_workers_cannot_start()
    {
        var gateway = await GatewayAsync("a");
        var waiting = AcquireAsync(gateway);
        await QueuedAsync(1);
        var now = TimeProvider.System.GetUtcNow();
        await store.BlockAsync(endpoint, new BlockedStart("exit code 3: no model", now.AddHours(1)), now, Soon);
        Assert.Equal("exit code 3: no model", (await waiting).Detail);
        var next = await AcquireAsync(gateway);
        Assert.Equal(AcquireRefusal.CannotStart, next.Refusal);
        Assert.Equal("exit code 3: no model", next.Detail);
        Assert.InRange(next.RetryAfter, TimeSpan.FromMinutes(59), TimeSpan.FromMinutes(60));
        // Both the waiting and the later request are demand for the next start.
        Assert.Equal(2, (await SnapshotAsync()).Refused);
        await store.BlockAsync(endpoint, null, now, Soon);
    }

    [Fact]
    public async Task A_block_expires_without_a_leader()
    {
        var gateway = await GatewayAsync("a");
        var now = TimeProvider.System.GetUtcNow();
        await store.BlockAsync(endpoint, new BlockedStart("exit code 3: no model", now.AddSeconds(0.3)), now, Soon);
        await UntilAsync(s => s.Blocked is null);
        var next = AcquireAsync(gateway);
        await QueuedAsync(1);
        await store.UpAsync(endpoint, Worker("p1", 1), Soon);
        (await next).Slot!.Dispose();
        await QuietAsync();
    }

    [Fact]
    public async Task A_gateway_whose_lease_was_ended_starts_a_new_one_and_slots_stay_exact()
    {
        var gateway = await GatewayAsync("a");
        await store.UpAsync(endpoint, Worker("p1", 3), Soon);
        var old = await AcquireAsync(gateway);
        var keys = new DispatchKeys(endpoint);
        do
        {
            // Repeat it, because the gateway may have renewed the lease in between.
            foreach (var holder in await redis.Store.Database.SortedSetRangeByRankAsync(keys.Leases))
                await redis.Store.Database.SortedSetAddAsync(keys.Leases, holder, 0);
        }
        while ((await store.ReapAsync(endpoint, Soon)).LeasesEnded == 0);
        await UntilAsync(s => s.Workers.Single().Free == 3);
        old.Slot!.Dispose();
        var again = await AcquireAsync(gateway);
        again.Slot!.Dispose();
        await QuietAsync();
    }

    [Fact]
    public Task Requests_and_slots_survive_a_kill_and_restart_of_Redis() => WithOwnRedisAsync(async own =>
    {
        var gateway = await GatewayAsync("a", own.Store);
        await store.UpAsync(endpoint, Worker("p1", 2), Soon);
        var running = await AcquireAsync(gateway);
        var alsoRunning = await AcquireAsync(gateway);
        var waiting = AcquireAsync(gateway);
        await QueuedAsync(1);
        await own.KillAsync();
        running.Slot!.Dispose();
        await own.StartAsync();
        (await waiting).Slot!.Dispose();
        alsoRunning.Slot!.Dispose();
        await QuietAsync();
    });

    [Fact]
    public Task Ends_of_attempts_during_a_Redis_outage_are_stored_after_it_and_free_their_slots() =>
        WithOwnRedisAsync(async own =>
    {
        var jobs = new JobStore(own.Store, new PayloadStore(own.Store, "/nowhere"));
        var grants = await RunningAsync(await GatewayAsync("a", own.Store), jobs, "a", "b", "c");
        await own.KillAsync();
        var ends = Array.ConvertAll(grants, g => jobs.CompleteAsync(g, "1"u8.ToArray(), default, Soon));
        await own.StartAsync();
        Assert.All(await Task.WhenAll(ends), e => Assert.Equal((true, JobStatus.Completed), (e.Ended, e.Status)));
        foreach (var grant in grants) grant.Dispose();
        await QuietAsync();
        Assert.Empty((await new JobQueries(own.Store, jobs).CheckAsync(endpoint, Soon)).Violations);
    });

    [Fact]
    public async Task An_end_that_Redis_rejects_does_not_prevent_other_ends_from_being_stored()
    {
        var jobs = new JobStore(redis.Store, new PayloadStore(redis.Store, "/nowhere"));
        var grants = await RunningAsync(await GatewayAsync("a"), jobs, "a", "b", "c");
        var k = new JobKeys(endpoint);
        await redis.Store.Database.StringSetAsync(k.Hook("msg_b_1"), "not a hash");

        var ends = Array.ConvertAll(grants, g => jobs.CompleteAsync(g, "1"u8.ToArray(), default, Soon));
        Assert.True((await ends[0]).Ended);
        Assert.True((await ends[2]).Ended);
        Assert.Contains(
            "WRONGTYPE",
            (await Assert.ThrowsAsync<RedisServerException>(() => ends[1])).Message,
            StringComparison.Ordinal);
        // The failed call left no data, and the ends that were sent again were stored once.
        Assert.Equal(
            ["msg_a_1", "msg_c_1"],
            (await redis.Store.Database.SortedSetRangeByRankAsync(k.Outbox)).Select(d => (string)d!).Order());
        Assert.Equal(2, (await new JobQueries(redis.Store, jobs).CountAsync(endpoint, Soon)).Completed);
        // Redis still has it as running: it would return as a job that its holder has forgotten.
        await redis.Store.Database.HashDeleteAsync(new DispatchKeys(endpoint).Running, "b");
        foreach (var grant in grants) grant.Dispose();
        await QuietAsync();
    }

    [Fact]
    public async Task A_cancelled_job_is_stopped_even_if_the_stop_message_is_lost()
    {
        var jobs = new JobStore(redis.Store, new PayloadStore(redis.Store, "/nowhere"));
        var grants = await RunningAsync(await GatewayAsync("a"), jobs, "a", "b");
        var stopped = new TaskCompletionSource();
        grants[0].Stopped.Register(() => stopped.SetResult());
        // No gateway receives these messages in this test.
        Assert.True((await jobs.CancelAsync(endpoint, "a", Soon)).Ended);
        await stopped.Task.WaitAsync(Soon);
        Assert.False(grants[1].Stopped.IsCancellationRequested);
        Assert.True((await jobs.CompleteAsync(grants[1], "1"u8.ToArray(), default, Soon)).Ended);
        foreach (var grant in grants) grant.Dispose();
        await QuietAsync();
    }

    private HashSet<Slot> Ended { get; } = [];

    /// <summary>Runs a test on a dedicated Redis that it may kill.</summary>
    private async Task WithOwnRedisAsync(Func<RedisFixture, Task> test)
    {
        var own = new RedisFixture();
        await own.InitializeAsync();
        try
        {
            store = new WorkerSlotStore(own.Store);
            await test(own);
        }
        finally
        {
            foreach (var dispatcher in started) await dispatcher.StopAsync(default);
            started.Clear();
            await own.DisposeAsync();
        }
    }

    /// <summary>Submits jobs and claims them, each on a separate slot.</summary>
    private async Task<JobGrant[]> RunningAsync(Dispatcher gateway, JobStore jobs, params string[] ids)
    {
        var runner = new Runner();
        gateway.Runner = runner;
        await store.UpAsync(endpoint, Worker("p1", ids.Length), Soon);
        foreach (var id in ids)
            await jobs.SubmitAsync(JobStoreTest.Job(endpoint, id) with { Webhook = "https://example.org/" }, Soon);
        gateway.JobQueued(endpoint);
        var grants = new List<JobGrant>();
        while (grants.Count < ids.Length) grants.Add(await runner.NextAsync(Soon));
        return [.. grants.OrderBy(g => g.Claim.Id)];
    }

    private sealed class Runner : IJobRunner
    {
        private readonly Channel<JobGrant> grants = Channel.CreateUnbounded<JobGrant>();

        public void Start(JobGrant grant) => grants.Writer.TryWrite(grant);

        public ValueTask<JobGrant> NextAsync(CancellationToken ct) => grants.Reader.ReadAsync(ct);
    }

    private async Task<Dispatcher> GatewayAsync(string name, RedisStore? on = null)
    {
        var dispatcher = new Dispatcher(new GatewayId($"{name}-{Guid.NewGuid():N}"), on ?? redis.Store, store,
            TimeProvider.System, NullLogger<Dispatcher>.Instance);
        await dispatcher.StartAsync(default);
        await dispatcher.Subscribed;
        started.Add(dispatcher);
        return dispatcher;
    }

    private Task<AcquireResult> AcquireAsync(Dispatcher gateway) =>
        gateway.AcquireAsync(endpoint, Request(), Soon).AsTask();

    private static SlotRequest Request() => new("key", TimeSpan.FromMinutes(10), MaxDepth: 1000);

    private static WorkerAddress Worker(string pod, int slots) =>
        new(pod, new Uri("http://127.0.0.1:9"), WorkerProtocol.H2c, "token", slots);

    private Task<EndpointSnapshot> SnapshotAsync() => store.SnapshotAsync(endpoint, Soon);

    private Task QueuedAsync(int count) => UntilAsync(s => s.Queued == count);

    /// <summary>Waits until every slot is free and no request waits.</summary>
    private Task QuietAsync() => UntilAsync(s => s.Queued == 0 && s.Workers.All(w => w.Free == w.Capacity));

    private async Task UntilAsync(Func<EndpointSnapshot, bool> holds) =>
        await Eventually.BecomesAsync(SnapshotAsync, holds);
}
