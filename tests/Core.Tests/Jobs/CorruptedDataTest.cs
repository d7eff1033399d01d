using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Testing;
using StackExchange.Redis;

namespace Sluice.Core.Tests.Jobs;

/// <summary>Corrupted data of one job or delivery does not stop the other jobs and deliveries of its endpoint.</summary>
public sealed class CorruptedDataTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private static readonly TimeSpan Lease = TimeSpan.FromMinutes(1);

    private readonly IDatabase db = redis.Store.Database;

    [Theory]
    [InlineData("string", null, null)]
    [InlineData("tries", "tries", "many")]
    [InlineData("job", "job", null)]
    [InlineData("url", "url", null)]
    [InlineData("made", "made", null)]
    public async Task Other_deliveries_are_leased(string endpoint, string? field, string? value)
    {
        var k = new JobKeys(endpoint);
        foreach (var delivery in new[] { "a", "b", "c" })
        {
            HashEntry[] fields = [new("job", "j"), new("url", "http://x/"), new("made", 1), new("tries", 0)];
            await db.HashSetAsync(k.Hook(delivery), fields);
            await db.SortedSetAddAsync(k.Outbox, delivery, 1);
        }

        if (field is null)
        {
            await db.KeyDeleteAsync(k.Hook("b"));
            await db.StringSetAsync(k.Hook("b"), "not a hash");
        }
        else if (value is null)
        {
            await db.HashDeleteAsync(k.Hook("b"), field);
        }
        else
        {
            await db.HashSetAsync(k.Hook("b"), field, value);
        }

        var hooks = new WebhookStore(redis.Store);
        var taken = await hooks.TakeAsync(endpoint, 10, Lease, default);
        Assert.Equal([("a", 1), ("c", 1)], taken.Select(t => (t.Delivery, t.Try)));
        // It is due again after the lease, in case that it is repaired.
        Assert.Empty(await hooks.TakeAsync(endpoint, 10, Lease, default));
        Assert.Equal(3, await db.SortedSetLengthAsync(k.Outbox));
    }

    [Theory]
    [InlineData("record", "x")]
    [InlineData("spec", "x\n1|2|3\n\n\n5")]
    public async Task Other_jobs_are_claimed_and_its_ticket_is_dropped(string endpoint, string asked)
    {
        var store = new JobStore(redis.Store, new PayloadStore(redis.Store, "/nowhere"));
        var dispatch = new DispatchScripts(redis.Store);
        var k = new JobKeys(endpoint);
        foreach (var id in new[] { "a", "b", "c" })
            await store.SubmitAsync(JobStoreTest.Job(endpoint, id), default);
        await db.HashSetAsync(k.Dispatch.Asked, "b", asked);
        await dispatch.WorkerUpAsync(k.Dispatch, "p", "{}", 3);
        await dispatch.AcquireAsync(k.Dispatch, endpoint, "g~0", true, Lease, 0, 0, []);

        var answer = await dispatch.ReleaseAsync(k, endpoint, "g~0", [], [], claims: true);
        Assert.Equal(["a", "c"], answer.Claimed.Select(c => c.Id));
        Assert.Equal(0, answer.Depth);
        Assert.Equal("0", (string?)await db.HashGetAsync(k.Dispatch.Meta, "queued"));
        Assert.Equal(2, (int)await db.HashGetAsync(k.Dispatch.Held, "g~0|p"));
    }
}
