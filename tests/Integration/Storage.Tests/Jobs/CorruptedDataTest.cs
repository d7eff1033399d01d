using Sluice.Domain.Jobs;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Testing;
using StackExchange.Redis;

namespace Sluice.Storage.Tests.Jobs;

/// <summary>Corrupted data of one job or delivery does not stop other jobs and deliveries of its endpoint.</summary>
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
        Assert.Equal([("a", 1), ("c", 1)], taken.Tries.Select(t => (t.Delivery, t.Try)));
        Assert.Equal(["b"], taken.Unreadable);
        // It is due again after the lease, in case that it is repaired.
        var again = await hooks.TakeAsync(endpoint, 10, Lease, default);
        Assert.Empty(again.Tries);
        Assert.Empty(again.Unreadable);
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
        await db.HashSetAsync(k.Dispatch.Jobs, "b", asked);
        await dispatch.WorkerUpAsync(k.Dispatch, "p", "{}", 3);
        await dispatch.AcquireAsync(k.Dispatch, endpoint, "g~0", true, Lease, 0, 0, []);

        var answer = await dispatch.ReleaseAsync(k, endpoint, "g~0", [], [], claims: true);
        Assert.Equal(["a", "c"], answer.Claimed.Select(c => c.Id));
        Assert.Equal(0, answer.Depth);
        Assert.Equal("0", (string?)await db.HashGetAsync(k.Dispatch.Meta, "queued"));
        Assert.Equal(2, (int)await db.HashGetAsync(k.Dispatch.Held, "g~0|p"));
    }

    [Theory]
    [InlineData("cancelled-record", "x")]
    [InlineData("cancelled-spec", "x\n1|2|3\n\n\n5")]
    [InlineData("cancelled-times", "1|0|0|3|1000|0|f\nx\n\n\n5")]
    public async Task It_can_be_cancelled_with_other_jobs(string endpoint, string asked)
    {
        var (store, dispatch, k) = await SubmitAsync(endpoint);
        await db.HashSetAsync(k.Dispatch.Jobs, "b", asked);
        // Cancellations of one endpoint share a call.
        var ends = await Task.WhenAll(Ids.Select(id => store.CancelAsync(endpoint, id, default)));
        Assert.All(ends, e => Assert.True(e.Ended));

        // The claim drops its ticket, which the cancellation could not find.
        await dispatch.AcquireAsync(k.Dispatch, endpoint, "g~0", true, Lease, 0, 0, []);
        Assert.Empty((await dispatch.ReleaseAsync(k, endpoint, "g~0", [], [], claims: true)).Claimed);
        Assert.Equal(0, await db.SortedSetLengthAsync(k.Dispatch.Queue));
        Assert.Equal("0", (string?)await db.HashGetAsync(k.Dispatch.Meta, "queued"));
        Assert.False(await db.KeyExistsAsync(k.Dispatch.Flows));
    }

    [Theory]
    [InlineData("lost-record", "x", false)]
    [InlineData("lost-spec", "x\n1|2|3\n\n\n5", false)]
    [InlineData("lost-run", "x", true)]
    public async Task Other_jobs_of_a_lost_gateway_are_queued_again(string endpoint, string text, bool isRun)
    {
        var (_, dispatch, k) = await SubmitAsync(endpoint);
        await dispatch.AcquireAsync(k.Dispatch, endpoint, "g~0", true, Lease, 0, 0, []);
        var claimed = await dispatch.ReleaseAsync(k, endpoint, "g~0", [], [], claims: true);
        Assert.Equal(3, claimed.Claimed.Length);
        await db.HashSetAsync(isRun ? k.Dispatch.Running : k.Dispatch.Jobs, "b", text);
        await db.SortedSetRemoveAsync(k.Dispatch.Leases, "g~0");

        await new WorkerSlotStore(redis.Store).ReapAsync(endpoint, default);
        Assert.Equal(0, await db.HashLengthAsync(k.Dispatch.Running));
        Assert.Equal(2, await db.SortedSetLengthAsync(k.Dispatch.Queue));
    }

    [Fact]
    public async Task An_attempt_of_it_ends_without_another_one()
    {
        var (store, dispatch, k) = await SubmitAsync("requeued");
        await dispatch.AcquireAsync(k.Dispatch, "requeued", "g~0", true, Lease, 0, 0, []);
        var claimed = (await dispatch.ReleaseAsync(k, "requeued", "g~0", [], [], claims: true)).Claimed;
        await db.HashSetAsync(k.Dispatch.Jobs, "b", "x");
        var fence = claimed.Single(c => c.Id == "b").Fence;
        Assert.True(await store.RequeueAsync("requeued", "b", fence, AttemptLoss.Counted, "lost", default));
        Assert.False(await db.HashExistsAsync(k.Dispatch.Running, "b"));
        Assert.Equal(0, await db.SortedSetLengthAsync(k.Dispatch.Queue));
    }

    [Fact]
    public async Task It_cannot_be_retried()
    {
        var (store, dispatch, k) = await SubmitAsync("retried");
        await dispatch.AcquireAsync(k.Dispatch, "retried", "g~0", true, Lease, 0, 0, []);
        var claim = (await dispatch.ReleaseAsync(k, "retried", "g~0", [], [], claims: true))
            .Claimed.Single(c => c.Id == "b");
        var error = new JobError("WRONG", "", true);
        JobEnd[] ends = [JobEnd.Failed("b", claim.Fence, JobStatus.Failed, error)];
        await dispatch.ReleaseAsync(k, "retried", "", [], ends, claims: false);
        await db.HashSetAsync(k.Dispatch.Jobs, "b", "x");
        Assert.Equal(("corrupted", JobStatus.Failed), await store.RetryAsync("retried", "b", default));
    }

    [Theory]
    [InlineData("listed-record", "x")]
    [InlineData("listed-spec", "x\n1|2|3\n\n\n5")]
    [InlineData("listed-number", "1|0|0|x|1000|0|f\n1|2|3\n\n\n5")]
    public async Task Other_jobs_are_listed(string endpoint, string asked)
    {
        var (store, _, k) = await SubmitAsync(endpoint);
        await db.HashSetAsync(k.Dispatch.Jobs, "b", asked);
        var page = await new JobQueries(redis.Store, store).ListAsync(endpoint, null, null, 0, 10, default);
        Assert.Equal(["c", "a"], page.Jobs.Select(j => j.Id));
    }

    private static readonly string[] Ids = ["a", "b", "c"];

    /// <summary>Stores three queued jobs and a worker with three slots.</summary>
    private async Task<(JobStore Store, DispatchScripts Dispatch, JobKeys Keys)> SubmitAsync(string endpoint)
    {
        var store = new JobStore(redis.Store, new PayloadStore(redis.Store, "/nowhere"));
        var dispatch = new DispatchScripts(redis.Store);
        var k = new JobKeys(endpoint);
        foreach (var id in Ids) await store.SubmitAsync(JobStoreTest.Job(endpoint, id), default);
        await dispatch.WorkerUpAsync(k.Dispatch, "p", "{}", 3);
        return (store, dispatch, k);
    }
}
