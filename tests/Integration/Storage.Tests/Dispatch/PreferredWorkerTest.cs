using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Dispatch;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Storage.Queueing;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Dispatch;

/// <summary>Requests that prefer a worker, at a complete dispatcher on a real Redis with two workers of 4 slots.</summary>
public sealed class PreferredWorkerTest(RedisFixture redis) : IClassFixture<RedisFixture>, IAsyncLifetime
{
    private static int endpoints;

    private readonly string endpoint = $"preferred{Interlocked.Increment(ref endpoints)}";
    private readonly List<Slot> slots = [];
    private WorkerSlotStore store = null!;
    private Dispatcher dispatcher = null!;

    public async ValueTask InitializeAsync()
    {
        store = new WorkerSlotStore(redis.Store);
        dispatcher = new Dispatcher(new GatewayId($"a-{Guid.NewGuid():N}"), redis.Store, store, TimeProvider.System,
            NullLogger<Dispatcher>.Instance);
        await dispatcher.StartAsync(default);
        await dispatcher.Subscribed;
        foreach (var pod in new[] { "p1", "p2" })
            await store.UpAsync(endpoint, new WorkerAddress(
                pod, new Uri("http://127.0.0.1:9"), WorkerProtocol.H2c, "token", 4), default);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var slot in slots) slot.Dispose();
        await dispatcher.StopAsync(default);
    }

    [Theory]
    [InlineData("p1")]
    [InlineData("p2")]
    public async Task The_preferred_worker_is_used_until_it_is_busier_by_more_than_the_margin(string pod)
    {
        // The first one has its slot from Redis, the others have idle slots or exchange them.
        Assert.Equal([pod, pod], await AcquireAsync(2, pod, margin: 1));
        var other = pod == "p1" ? "p2" : "p1";
        Assert.Equal([other], await AcquireAsync(1, pod, margin: 1));
        Assert.Equal([pod], await AcquireAsync(1, pod, margin: 1));
        await FreeAsync(4);
    }

    [Fact]
    public async Task All_free_slots_are_used_if_the_preferred_worker_has_none()
    {
        Assert.Equal(["p1", "p1", "p1", "p1"], await AcquireAsync(4, "p1", margin: 4));
        Assert.Equal(["p2", "p2", "p2", "p2"], await AcquireAsync(4, "p1", margin: 4));
        await FreeAsync(0);
    }

    [Fact]
    public async Task A_worker_that_is_gone_is_no_preference()
    {
        Assert.Equal(2, (await AcquireAsync(2, "p3", margin: 4)).Count);
        await FreeAsync(6);
    }

    private async Task<List<string>> AcquireAsync(int count, string preferred, int margin)
    {
        var request = new SlotRequest("key", TimeSpan.FromMinutes(1), MaxDepth: 1000,
            Preferred: new PreferredWorker(preferred, margin));
        var pods = new List<string>();
        for (var i = 0; i < count; i++)
        {
            slots.Add((await dispatcher.AcquireAsync(endpoint, request, default)).Slot!);
            pods.Add(slots[^1].Worker.PodId);
        }

        return pods;
    }

    /// <summary>Waits until Redis counts these slots as free: idle slots of the gateway are returned.</summary>
    private Task FreeAsync(int free) => Eventually.HoldsAsync(async () =>
        (await store.SnapshotAsync(endpoint, default)).Workers.Sum(w => w.Free) == free, $"{free} slots are free");
}
