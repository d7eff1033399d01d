using Sluice.Domain.Jobs;
using Sluice.Storage.Queueing;
using StackExchange.Redis;

namespace Sluice.Storage.Tests.Jobs;

/// <summary>
/// Attempts that a Redis which lost its last writes counts twice, and data that a failed call may leave.
/// </summary>
public sealed partial class JobStoreTest
{
    [Fact]
    public async Task A_reap_says_whether_later_ones_are_needed()
    {
        Assert.False(await ReapAsync());
        await SubmitAsync("a");
        Assert.True(await ReapAsync());
        await UpAsync(1);
        await ClaimAsync();
        Assert.True(await ReapAsync());
        Assert.True(await EndAsync(JobEnd.Completed("a", 1, "1"u8.ToArray(), default)));
        // The gateway still has a lease.
        Assert.True(await ReapAsync());
        await redis.Store.Database.SortedSetAddAsync(keys.Leases, "g~0", 1);
        await redis.Store.Database.HashDeleteAsync(keys.Meta, "patient");
        Assert.False(await ReapAsync());

        async Task<bool> ReapAsync() =>
            (await dispatch.ReapAsync(keys, TimeSpan.FromHours(1), TimeSpan.Zero)).IsOpen;
    }

    [Fact]
    public async Task An_attempt_number_that_Redis_assigned_twice_lets_only_the_later_claim_write()
    {
        await SubmitAsync("a");
        await UpAsync(2);
        await dispatch.AcquireAsync(keys, endpoint, "g~0", true, TimeSpan.FromMinutes(1), 0, 0, []);
        var first = Assert.Single(await ClaimAsAsync("one"));
        // Redis loses the claim: the job is queued as before.
        Assert.True(await store.RequeueAsync(endpoint, "a", first.Fence, AttemptLoss.Free, "lost", default));
        await redis.Store.Database.HashDeleteAsync(keys.Retries, "a");
        await redis.Store.Database.KeyDeleteAsync(keys.Queue);
        var submitted = ((string)(await redis.Store.Database.HashGetAsync(keys.Jobs, "a"))!).Split('\n')[1].Split('|');
        await redis.Store.Database.SortedSetAddAsync(
            keys.Queue,
            $"{submitted[2]}|job|a|{submitted[0]}|{submitted[1]}|f",
            0);
        await CheckAsync();
        var second = Assert.Single(await ClaimAsAsync("two"));
        Assert.Equal((1, 1), (first.Attempt, second.Attempt));
        await CheckAsync();

        Assert.False(await EndAsync(JobEnd.Completed("a", first.Fence, "1"u8.ToArray(), default)));
        Assert.False(await store.RequeueAsync(endpoint, "a", first.Fence, AttemptLoss.Counted, "again", default));
        Assert.Equal(
            AppendOutcome.Stale,
            await streams.AppendAsync(endpoint, "a", first.Fence, 0, 100, ["1"u8.ToArray()], default));
        var renewed = await dispatch.RenewAsync(keys, Report($"a|{first.Fence}", $"a|{second.Fence}"));
        Assert.Equal([$"a|{first.Fence}"], renewed.Ended);
        Assert.Empty(renewed.Orphans);
        Assert.True(await EndAsync(JobEnd.Completed("a", second.Fence, "2"u8.ToArray(), default)));
        // A repeated end is the same end only if the claim is the same.
        Assert.True(await EndAsync(JobEnd.Completed("a", second.Fence, "2"u8.ToArray(), default)));
        Assert.False(await EndAsync(JobEnd.Completed("a", first.Fence, "1"u8.ToArray(), default)));
        var job = (await store.LookAsync(endpoint, "a", null, default))!;
        Assert.Equal((1, "2"), (job.Attempt, System.Text.Encoding.UTF8.GetString(job.Output!.Value.Span)));
        await CheckAsync();
    }

    [Fact]
    public async Task A_claim_that_its_holder_does_not_know_gets_a_new_fence()
    {
        await SubmitAsync("a", j => j with { Webhook = "https://example.org/" });
        await UpAsync(1);
        await dispatch.AcquireAsync(keys, endpoint, "g~0", true, TimeSpan.FromMinutes(1), 0, 0, []);
        var claim = Assert.Single(await ClaimAsAsync("one"));
        var orphan = Assert.Single((await dispatch.RenewAsync(keys, Report() with { Token = "two" })).Orphans);
        Assert.Equal(("a", 1, "p"), (orphan.Id, orphan.Attempt, orphan.Pod));
        Assert.NotEqual(claim.Fence, orphan.Fence);
        await CheckAsync();
        Assert.False(await EndAsync(JobEnd.Completed("a", claim.Fence, "1"u8.ToArray(), default)));
        Assert.True(await EndAsync(JobEnd.Completed("a", orphan.Fence, "1"u8.ToArray(), default)));
        Assert.Equal(
            ["msg_a_1"],
            (await redis.Store.Database.SortedSetRangeByRankAsync(new JobKeys(endpoint).Outbox))
                .Select(d => (string)d!));
        await CheckAsync();
    }

    [Fact]
    public async Task A_stream_with_a_lost_part_is_not_continued_after_the_gap()
    {
        await SubmitAsync("a");
        await UpAsync(1);
        await ClaimAsync();
        byte[][] two = ["1"u8.ToArray(), "2"u8.ToArray()];
        Assert.Equal(AppendOutcome.Appended, await streams.AppendAsync(endpoint, "a", 1, 0, 100, two, default));
        await redis.Store.Database.ListRightPopAsync(new JobKeys(endpoint).Chunks("a"));
        Assert.Equal(
            AppendOutcome.Gap,
            await streams.AppendAsync(endpoint, "a", 1, 2, 100, ["3"u8.ToArray()], default));
        Assert.Equal(AppendOutcome.Appended, await streams.AppendAsync(endpoint, "a", 1, 0, 100, two, default));
        Assert.Equal(2, (await streams.ReadAsync(endpoint, "a", 0, "g1", default)).Chunks.Count);
    }

    [Fact]
    public async Task A_call_with_a_failed_end_stores_none_of_its_ends()
    {
        var (k, db) = (new JobKeys(endpoint), redis.Store.Database);
        foreach (var id in new[] { "a", "b" }) await SubmitAsync(id, j => j with { Webhook = "https://example.org/" });
        await UpAsync(2);
        await ClaimAsync();
        await db.StringSetAsync(k.Hook("msg_b_1"), "not a hash");
        JobEnd[] ends = [.. new[] { "a", "b" }.Select(id => JobEnd.Completed(id, 1, "1"u8.ToArray(), default))];
        await Assert.ThrowsAsync<RedisServerException>(
            () => dispatch.ReleaseAsync(k, endpoint, "", [], ends, claims: false));
        foreach (var key in new[] { k.Hook("msg_a_1"), k.Outbox, k.Log, keys.Results, k.Expiry })
            Assert.False(await db.KeyExistsAsync(key), key);
        // Needed so that the name of its delivery contains its attempt, which receivers use to identify it.
        Assert.True(await EndAsync(ends[0]));
        Assert.Equal(["msg_a_1"], (await db.SortedSetRangeByRankAsync(k.Outbox)).Select(d => (string)d!));
    }

    [Fact]
    public async Task The_checker_finds_leaked_slots_and_jobs_that_run_too_long()
    {
        await SubmitAsync("a");
        await UpAsync(2);
        await ClaimAsync();
        await dispatch.RenewAsync(keys, Report("a|1") with { Busy = 3, Unowned = 2, Slots = [new("p", 2)] });
        Assert.Equal(["slots in use by no job: g~0 2"], (await queries.CheckAsync(endpoint, default)).Violations);
        Assert.Equal(3, (await dispatch.SnapshotAsync(keys)).Busy);
        await dispatch.RenewAsync(keys, Report("a|1") with { Slots = [new("p", 1)] });
        await CheckAsync();

        var db = redis.Store.Database;
        var run = ((string)(await db.HashGetAsync(keys.Running, "a"))!).Split('|');
        // Its executionTimeout is one minute.
        run[3] = $"{long.Parse(run[3], System.Globalization.CultureInfo.InvariantCulture) - 125_000}";
        await db.HashSetAsync(keys.Running, "a", string.Join('|', run));
        Assert.StartsWith(
            "runs for longer than its executionTimeout: a ",
            Assert.Single((await queries.CheckAsync(endpoint, default)).Violations),
            StringComparison.Ordinal);
    }

    private async Task<JobClaim[]> ClaimAsAsync(string token) =>
        (await dispatch.ReleaseAsync(new JobKeys(endpoint), endpoint, "g~0", [], [], claims: true, token)).Claimed;

    private static RenewReport Report(params string[] running) =>
        new("g~0", TimeSpan.FromMinutes(1), 0, 0, [new("p", running.Length)], [], running, []);
}
