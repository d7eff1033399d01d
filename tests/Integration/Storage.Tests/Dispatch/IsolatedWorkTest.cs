using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Dispatch;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Jobs;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Tests.Jobs;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Dispatch;

/// <summary>Work that lost its worker gets a worker without other work. Complete dispatchers on a real Redis.</summary>
public sealed class IsolatedWorkTest(RedisFixture redis) : IClassFixture<RedisFixture>, IAsyncLifetime
{
    private static readonly SlotRequest Plain = new("key", TimeSpan.FromMinutes(10), MaxDepth: 1000);
    private static readonly SlotRequest Lost = Plain with { Isolated = true };
    private static int endpoints;

    private readonly string endpoint = $"isolated-{Interlocked.Increment(ref endpoints)}";
    private readonly List<Dispatcher> started = [];
    private readonly CancellationTokenSource deadline = new(TimeSpan.FromMinutes(5));
    private readonly WorkerSlotStore store = new(redis.Store);

    private CancellationToken Soon => deadline.Token;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        foreach (var dispatcher in started) await dispatcher.StopAsync(default);
        deadline.Dispose();
    }

    [Fact]
    public async Task Isolated_work_uses_one_worker_while_other_work_waits_and_all_workers_otherwise()
    {
        var gateway = await GatewayAsync("a");
        var lost = Enumerable.Range(0, 6).Select(_ => AcquireAsync(gateway, Lost)).ToList();
        await UntilAsync(s => s.Queued == 6);
        var plain = Enumerable.Range(0, 6).Select(_ => AcquireAsync(gateway, Plain)).ToList();
        await UntilAsync(s => s.Queued == 12);
        await UpAsync("p1", 2);
        await UpAsync("p2", 2);
        // One of the two workers has an isolated request, the other one has two plain requests.
        await UntilAsync(
            s => s.Queued == 9 && (lost.Count(t => t.IsCompleted), plain.Count(t => t.IsCompleted)) == (1, 2));
        foreach (var ticket in plain) (await ticket).Slot!.Dispose();
        await UntilAsync(s => s.Queued == 4 && lost.Count(t => t.IsCompleted) == 2);
        Assert.Equal(
            2,
            lost.Select(t => t.IsCompleted ? t.Result.Slot!.Worker.PodId : "")
                .Where(p => p.Length > 0).Distinct().Count());
        foreach (var ticket in lost) (await ticket).Slot!.Dispose();
        await QuietAsync();
    }

    [Fact]
    public async Task Isolated_work_has_a_worker_alone_and_other_work_gets_the_worker_after_it()
    {
        var gateway = await GatewayAsync("a");
        await UpAsync("p1", 4);
        var alone = (await AcquireAsync(gateway, Lost)).Slot!;
        Assert.True(alone.IsIsolated);
        Assert.Equal(4, (await SnapshotAsync()).Workers.Single().Leased);
        var others = Enumerable.Range(0, 4).Select(_ => AcquireAsync(gateway, Plain)).ToList();
        await UntilAsync(s => s.Queued == 4);
        alone.Dispose();
        foreach (var other in others) (await other).Slot!.Dispose();
        await QuietAsync();
    }

    [Fact]
    public async Task Isolated_work_waits_for_a_worker_without_other_work_and_other_work_does_not_pass_it_there()
    {
        var gateway = await GatewayAsync("a");
        await UpAsync("p1", 2);
        var (first, second) = ((await AcquireAsync(gateway, Plain)).Slot!, (await AcquireAsync(gateway, Plain)).Slot!);
        var alone = AcquireAsync(gateway, Lost);
        await UntilAsync(s => s.Queued == 1);
        var later = AcquireAsync(gateway, Plain);
        await UntilAsync(s => s.Queued == 2);
        first.Dispose();
        await UntilAsync(s => s.Workers.Single().Leased == 1);
        Assert.False(alone.IsCompleted || later.IsCompleted);
        second.Dispose();
        var slot = (await alone).Slot!;
        Assert.False(later.IsCompleted);
        slot.Dispose();
        (await later).Slot!.Dispose();
        await QuietAsync();
    }

    [Fact]
    public async Task Idle_slots_of_another_gateway_are_returned_for_isolated_work()
    {
        var (a, b) = (await GatewayAsync("a"), await GatewayAsync("b"));
        await UpAsync("p1", 4);
        (await AcquireAsync(a, Plain)).Slot!.Dispose();
        Assert.True((await SnapshotAsync()).Workers.Single().Leased > 0);
        var slot = (await AcquireAsync(b, Lost)).Slot!;
        Assert.Equal(4, (await SnapshotAsync()).Leases.Single().Slots);
        slot.Dispose();
        await QuietAsync();
    }

    [Fact]
    public async Task Isolated_work_does_not_wait_for_a_draining_worker()
    {
        var gateway = await GatewayAsync("a");
        await UpAsync("p1", 2);
        var running = (await AcquireAsync(gateway, Plain)).Slot!;
        var alone = AcquireAsync(gateway, Lost);
        await UntilAsync(s => s.Queued == 1);
        await store.DrainAsync(endpoint, "p1", Soon);
        await UpAsync("p2", 2);
        Assert.Equal("p2", (await alone).Slot!.Worker.PodId);
        running.Dispose();
        (await alone).Slot!.Dispose();
        await UntilAsync(s => s.Workers.Sum(w => w.Leased) == 0);
    }

    [Fact]
    public async Task A_caller_that_disconnects_returns_the_whole_worker()
    {
        var gateway = await GatewayAsync("a");
        using var gone = new CancellationTokenSource();
        var alone = gateway.AcquireAsync(endpoint, Lost, gone.Token).AsTask();
        await UntilAsync(s => s.Queued == 1);
        var next = AcquireAsync(gateway, Plain);
        await UntilAsync(s => s.Queued == 2);
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => alone);
        await UpAsync("p1", 3);
        (await next).Slot!.Dispose();
        await QuietAsync();
    }

    [Theory]
    [InlineData(1, 4, true)]
    [InlineData(2, 4, false)]
    [InlineData(1, 1, true)]
    public async Task A_lost_worker_is_attributed_to_work_that_was_alone_on_it(int works, int concurrency, bool alone)
    {
        var gateway = await GatewayAsync("a");
        await UpAsync("p1", concurrency);
        var slots = new List<Slot>();
        for (var i = 0; i < works; i++) slots.Add((await AcquireAsync(gateway, Plain)).Slot!);
        // All work on the worker reports the loss, one after another.
        Assert.All(slots, slot => Assert.Equal(alone, slot.MarkWorkerUnreachable()));
    }

    [Fact]
    public async Task Work_counts_as_alone_only_if_no_other_gateway_may_use_the_worker_or_it_is_isolated()
    {
        var (a, b) = (await GatewayAsync("a"), await GatewayAsync("b"));
        await UpAsync("p1", 4);
        var other = (await AcquireAsync(b, Plain)).Slot!;
        var plain = (await AcquireAsync(a, Plain)).Slot!;
        Assert.False(plain.MarkWorkerUnreachable());
        other.Dispose();
        await UpAsync("p2", 4);
        var isolated = (await AcquireAsync(a, Lost)).Slot!;
        Assert.True(isolated.MarkWorkerUnreachable());
    }

    [Fact]
    public async Task One_loss_of_a_job_beside_other_work_does_not_count_and_all_others_do()
    {
        var jobs = new JobStore(redis.Store, new PayloadStore(redis.Store, "/nowhere"));
        var scripts = new DispatchScripts(redis.Store);
        var keys = new JobKeys(endpoint);
        await UpAsync("p1", 4);
        await scripts.AcquireAsync(keys.Dispatch, endpoint, "g~0", fresh: true, TimeSpan.FromHours(1), 0, 0, []);
        await jobs.SubmitAsync(JobStoreTest.Job(endpoint, "a"), Soon);
        var runs = new List<(bool Isolated, int Runs)>();
        for (var attempt = 1; ; attempt++)
        {
            var claim = Assert.Single((await scripts.ReleaseAsync(
                keys,
                endpoint,
                "g~0",
                attempt == 1 ? [] : [new SlotCount("p1", 4)],
                [],
                claims: true)).Claimed);
            if (claim.Why == "exhausted") break;
            runs.Add((claim.IsIsolated, (await jobs.LookAsync(endpoint, "a", null, Soon))!.Runs));
            Assert.True(await jobs.RequeueAsync(endpoint, "a", attempt, AttemptLoss.Shared, "lost", Soon));
        }

        // The first loss did not count.
        Assert.Equal([(false, 1), (true, 1), (true, 2), (true, 3)], runs);
        Assert.Empty((await new JobQueries(redis.Store, jobs).CheckAsync(endpoint, Soon)).Violations);
    }

    [Fact]
    public async Task A_job_that_would_reach_its_limit_by_a_gateway_loss_runs_once_more_alone()
    {
        var jobs = new JobStore(redis.Store, new PayloadStore(redis.Store, "/nowhere"));
        var scripts = new DispatchScripts(redis.Store);
        var keys = new JobKeys(endpoint);
        await UpAsync("p1", 4);
        await jobs.SubmitAsync(JobStoreTest.Job(endpoint, "a") with { MaxRuns = 2 }, Soon);
        var seen = new List<string>();
        for (var holder = 0; seen.LastOrDefault() != "exhausted"; holder++)
        {
            await scripts.AcquireAsync(keys.Dispatch, endpoint, $"g~{holder}", fresh: true, TimeSpan.Zero, 0, 0, []);
            seen.Add(
                Assert.Single((await scripts.ReleaseAsync(keys, endpoint, $"g~{holder}", [], [], claims: true)).Claimed)
                    .Why);
            await scripts.ReapAsync(keys.Dispatch, TimeSpan.FromHours(1), TimeSpan.Zero);
        }

        Assert.Equal(["", "", "isolated", "exhausted"], seen);
    }

    private async Task<Dispatcher> GatewayAsync(string name)
    {
        var dispatcher = new Dispatcher(
            new GatewayId($"{name}-{Guid.NewGuid():N}"),
            redis.Store,
            store,
            TimeProvider.System,
            NullLogger<Dispatcher>.Instance);
        await dispatcher.StartAsync(default);
        await dispatcher.Subscribed;
        started.Add(dispatcher);
        return dispatcher;
    }

    private Task<AcquireResult> AcquireAsync(Dispatcher gateway, SlotRequest request) =>
        gateway.AcquireAsync(endpoint, request, Soon).AsTask();

    private Task UpAsync(string pod, int slots) =>
        store.UpAsync(
            endpoint,
            new WorkerAddress(pod, new Uri("http://127.0.0.1:9"), WorkerProtocol.H2c, "token", slots),
            Soon);

    private Task<EndpointSnapshot> SnapshotAsync() => store.SnapshotAsync(endpoint, Soon);

    private Task QuietAsync() => UntilAsync(s => s.Queued == 0 && s.Workers.All(w => w.Free == w.Capacity));

    private async Task UntilAsync(Func<EndpointSnapshot, bool> holds) =>
        await Eventually.BecomesAsync(SnapshotAsync, holds);
}
