using Sluice.Storage.Queueing;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Redis;

/// <summary>The keys of many endpoints are checked together; on a real Redis.</summary>
public sealed class EndpointActivityTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    /// <summary>More endpoints than one command covers.</summary>
    private static readonly string[] Many = [.. Enumerable.Range(0, 150).Select(n => $"many{n}")];

    private readonly EndpointActivity activity = new(redis.Store);

    [Fact]
    public async Task Endpoints_with_tickets_leases_running_jobs_or_workers_are_busy()
    {
        Assert.Empty(await activity.FindBusyAsync(Many, default));
        var db = redis.Store.Database;
        await db.SortedSetAddAsync(new DispatchKeys(Many[0]).Queue, "ticket", 1);
        await db.SortedSetAddAsync(new DispatchKeys(Many[70]).Leases, "holder", 1);
        await db.HashSetAsync(new DispatchKeys(Many[71]).Running, "job", "run");
        await db.HashSetAsync(new DispatchKeys(Many[149]).Capacity, "pod", 1);
        // Neither makes an endpoint busy.
        await db.HashSetAsync(new DispatchKeys(Many[3]).Meta, "completed", 7);
        await db.SortedSetAddAsync(new JobKeys(Many[4]).Outbox, "delivery", 1);
        Assert.Equal([Many[0], Many[70], Many[71], Many[149]], await activity.FindBusyAsync(Many, default));
        Assert.Empty(await activity.FindBusyAsync([], default));
    }

    [Fact]
    public async Task Endpoints_with_deliveries_are_found()
    {
        await redis.Store.Database.SortedSetAddAsync(new JobKeys("hooked").Outbox, "delivery", 1);
        Assert.Equal(["hooked"], await activity.FindWithDeliveriesAsync(["idle", "hooked"], default));
    }
}
