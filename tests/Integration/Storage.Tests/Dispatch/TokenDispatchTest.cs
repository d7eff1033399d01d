using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Dispatch;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Schema;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Dispatch;

/// <summary>
/// Texts at workers that report how many tokens they can hold, at complete dispatchers on a real Redis.
/// </summary>
public sealed class TokenDispatchTest(RedisFixture redis) : IClassFixture<RedisFixture>, IAsyncLifetime
{
    private const int Slots = 8;
    private static int endpoints;

    private readonly string endpoint = $"tokens{Interlocked.Increment(ref endpoints)}";
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
        var store = new JobStore(redis.Store, new PayloadStore(redis.Store, "/nowhere"));
        var report = await new JobQueries(redis.Store, store).CheckAsync(endpoint, default);
        Assert.Empty(report.Violations);
        deadline.Dispose();
    }

    [Fact]
    public async Task Tokens_do_not_count_while_gateways_of_an_earlier_build_run()
    {
        var schema = new ActiveSchema();
        schema.Update(new SchemaView(SchemaNumber.At(2), []));
        var gateway = await GatewayAsync("a", schema);
        await UpAsync("p1", new TokenCapacity(1000));
        var early = new List<Slot>();
        for (var i = 0; i < 4; i++) early.Add(await AcquireAsync(gateway, 400));
        Assert.Equal(0, (await InFlightAsync()).Tokens);

        schema.Update(new SchemaView(SchemaNumber.At(3), []));
        var texts = new[] { await AcquireAsync(gateway, 400), await AcquireAsync(gateway, 400) };
        Assert.Equal(800, (await InFlightAsync(800)).Tokens);
        foreach (var slot in early.Concat(texts)) slot.Dispose();
        await EmptyAsync();
    }

    [Fact]
    public async Task A_worker_gets_texts_until_its_cache_is_full()
    {
        var gateway = await GatewayAsync("a");
        await UpAsync("p1", new TokenCapacity(1000));
        var first = await AcquireAsync(gateway, 400);
        var second = await AcquireAsync(gateway, 400);
        Assert.Equal((800, 2), await InFlightAsync());
        Assert.True(gateway.HasTokenLimits(endpoint));
        var third = AcquireAsync(gateway, 400);
        await QueuedAsync(1);
        // Slots are free, but there is no room.
        Assert.Equal(Slots - 2, (await SnapshotAsync()).Workers.Single().Free);
        first.Dispose();
        (await third).Dispose();
        second.Dispose();
        await EmptyAsync();
    }

    [Fact]
    public async Task A_text_goes_to_the_worker_that_has_room_and_not_to_the_one_with_more_slots()
    {
        var gateway = await GatewayAsync("a");
        await UpAsync("p1", new TokenCapacity(1000));
        var large = await AcquireAsync(gateway, 900);
        await UpAsync("p2", new TokenCapacity(1000));
        var small = new List<Slot>();
        for (var i = 0; i < 4; i++) small.Add(await AcquireAsync(gateway, 150));
        Assert.All(small, slot => Assert.Equal("p2", slot.Worker.PodId));
        foreach (var slot in (Slot[])[large, .. small]) slot.Dispose();
        await EmptyAsync();
    }

    [Fact]
    public async Task A_text_that_is_larger_than_the_cache_runs_alone()
    {
        var gateway = await GatewayAsync("a");
        await UpAsync("p1", new TokenCapacity(1000));
        var small = await AcquireAsync(gateway, 1);
        var large = AcquireAsync(gateway, 1_000_000);
        await QueuedAsync(1);
        small.Dispose();
        var alone = await large;
        Assert.Equal((1000, 1), await InFlightAsync());
        var next = AcquireAsync(gateway, 1);
        await QueuedAsync(1);
        alone.Dispose();
        (await next).Dispose();
        await EmptyAsync();
    }

    [Fact]
    public async Task Texts_that_would_fit_do_not_overtake_one_that_waits_for_room()
    {
        var (a, b) = (await GatewayAsync("a"), await GatewayAsync("b"));
        await UpAsync("p1", new TokenCapacity(1000));
        var (one, two) = (await AcquireAsync(a, 500), await AcquireAsync(b, 300));
        var large = AcquireAsync(a, 900);
        await QueuedAsync(1);
        // Each of them would fit, again and again, and the large one would never get its room.
        var small = new List<Task<Slot>>();
        foreach (var gateway in new[] { a, b })
        {
            small.Add(AcquireAsync(gateway, 100));
            await QueuedAsync(1 + small.Count);
        }

        // A request without text also keeps its place.
        var other = AcquireAsync(b, 0);
        await QueuedAsync(4);
        two.Dispose();
        Assert.Equal((500, 1), await InFlightAsync(tokens: 500));
        Assert.False(large.IsCompleted || small.Any(s => s.IsCompleted) || other.IsCompleted);
        one.Dispose();
        (await large).Dispose();
        foreach (var slot in small) (await slot).Dispose();
        (await other).Dispose();
        await EmptyAsync();
    }

    [Fact]
    public async Task Requests_without_text_need_no_room()
    {
        var gateway = await GatewayAsync("a");
        await UpAsync("p1", new TokenCapacity(1000));
        var text = await AcquireAsync(gateway, 1000);
        var other = await AcquireAsync(gateway, 0);
        Assert.Equal(1000, (await InFlightAsync()).Tokens);
        other.Dispose();
        text.Dispose();
        await EmptyAsync();
    }

    [Fact]
    public async Task Workers_without_a_limit_get_texts_by_their_slots_without_a_call_to_Redis()
    {
        var gateway = await GatewayAsync("a");
        await UpAsync("p1", null);
        (await AcquireAsync(gateway, 1_000_000)).Dispose();
        var next = AcquireAsync(gateway, 1_000_000);
        Assert.True(next.IsCompletedSuccessfully);
        (await next).Dispose();
        Assert.False(gateway.HasTokenLimits(endpoint));
    }

    [Fact]
    public async Task An_idle_slot_does_not_serve_a_text_without_a_look_at_the_room()
    {
        var (a, b) = (await GatewayAsync("a"), await GatewayAsync("b"));
        await UpAsync("p1", new TokenCapacity(1000));
        // It keeps an idle slot.
        (await AcquireAsync(a, 0)).Dispose();
        var full = await AcquireAsync(b, 1000);
        var text = AcquireAsync(a, 10);
        await QueuedAsync(1);
        Assert.False(text.IsCompleted);
        full.Dispose();
        (await text).Dispose();
        await EmptyAsync();
    }

    [Fact]
    public async Task Tokens_that_a_text_does_not_need_become_free_when_the_lease_is_renewed()
    {
        var gateway = await GatewayAsync("a");
        await UpAsync("p1", new TokenCapacity(1000));
        var first = await AcquireAsync(gateway, 900);
        var second = AcquireAsync(gateway, 500);
        await QueuedAsync(1);
        // The worker has counted the prompt.
        first.CountTokens(() => 400);
        var slot = await second;
        Assert.Equal((900, 2), await InFlightAsync());
        // A text that generates more than was expected leaves less room to the others.
        first.CountTokens(() => 500);
        await InFlightAsync(tokens: 1000);
        first.Dispose();
        slot.Dispose();
        await EmptyAsync();
    }

    [Fact]
    public async Task The_tokens_of_a_gateway_that_is_gone_become_free()
    {
        var gateway = await GatewayAsync("a");
        await UpAsync("p1", new TokenCapacity(1000));
        var scripts = new DispatchScripts(redis.Store);
        var keys = new DispatchKeys(endpoint);
        // It has a lease that is over, one slot in use, and one that was granted and not accepted.
        await scripts.AcquireAsync(keys, endpoint, "gone~0", true, TimeSpan.Zero, 10, 0,
            [new("t1", "f", TimeSpan.FromMinutes(1), false, Tokens: 900)]);
        Assert.Equal((900, 1), await InFlightAsync());
        var waiting = AcquireAsync(gateway, 900);
        await QueuedAsync(1);
        await store.ReapAsync(endpoint, Soon);
        (await waiting).Dispose();
        await EmptyAsync();
    }

    [Fact]
    public async Task A_worker_that_is_gone_leaves_no_tokens()
    {
        var gateway = await GatewayAsync("a");
        await UpAsync("p1", new TokenCapacity(1000));
        var first = await AcquireAsync(gateway, 900);
        var waiting = AcquireAsync(gateway, 900);
        await QueuedAsync(1);
        await store.DownAsync(endpoint, "p1", Soon);
        await UpAsync("p2", new TokenCapacity(1000));
        var second = await waiting;
        Assert.Equal("p2", second.Worker.PodId);
        Assert.Equal((900, 1), await InFlightAsync());
        first.Dispose();
        second.Dispose();
        await EmptyAsync();
    }

    private async Task<Dispatcher> GatewayAsync(string name, ActiveSchema? schema = null)
    {
        // The property opens a new view of the same connection.
        var gateway = redis.Store;
        if (schema is not null) gateway = new RedisStore(gateway.Connection) { Schema = schema };
        var dispatcher = new Dispatcher(new GatewayId($"{name}-{Guid.NewGuid():N}"), gateway, store,
            TimeProvider.System, NullLogger<Dispatcher>.Instance);
        started.Add(dispatcher);
        await dispatcher.StartAsync(default);
        await dispatcher.Subscribed;
        return dispatcher;
    }

    private Task UpAsync(string pod, TokenCapacity? cache) => store.UpAsync(
        endpoint,
        new WorkerAddress(pod, new Uri("http://127.0.0.1:9"), WorkerProtocol.H2c, "token", Slots) { Cache = cache },
        Soon);

    private async Task<Slot> AcquireAsync(Dispatcher gateway, long tokens)
    {
        var request = new SlotRequest("key", TimeSpan.FromMinutes(5), MaxDepth: 1000, Tokens: tokens);
        return (await gateway.AcquireAsync(endpoint, request, Soon)).Slot!;
    }

    private Task<EndpointSnapshot> SnapshotAsync() => store.SnapshotAsync(endpoint, Soon);

    private Task QueuedAsync(int count) =>
        Eventually.HoldsAsync(async () => (await SnapshotAsync()).Queued == count, $"{count} tickets wait");

    /// <summary>Returns tokens in flight and slots in use, if needed once the tokens have this value.</summary>
    private async Task<(long Tokens, int Slots)> InFlightAsync(long? tokens = null)
    {
        if (tokens is { } wanted)
            await Eventually.HoldsAsync(async () => (await SnapshotAsync()).Workers.Sum(w => w.Tokens) == wanted,
                $"{wanted} tokens are in flight");
        var workers = (await SnapshotAsync()).Workers;
        return (workers.Sum(w => w.Tokens), workers.Sum(w => w.Leased));
    }

    private Task EmptyAsync() => Eventually.HoldsAsync(
        async () => await InFlightAsync() is (0, 0), "no token is in flight and no slot is in use");
}
