using Sluice.Storage.Redis;
using Sluice.Testing;
using StackExchange.Redis;

namespace Sluice.Storage.Tests.Jobs;

/// <summary>The limit script on a real Redis, with two connections that represent two gateways.</summary>
public sealed class LimitScriptTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private static readonly Script Limit = Script.Load("limit");
    private static readonly Script Keep = Script.Load("limit-keep");

    [Fact]
    public async Task No_more_requests_pass_than_burst_and_rate_allow_across_all_gateways()
    {
        using var second = await redis.ConnectAsync();
        IDatabase[] gateways = [redis.Store.Database, second.GetDatabase()];
        const int perSecond = 200, burst = 20;
        var started = System.Diagnostics.Stopwatch.GetTimestamp();
        var passed = 0;
        for (var i = 0; i < 2000; i++)
            if (await AskAsync(gateways[i % 2], "rate", 1_000_000 / perSecond, burst, 0, "") is { Allowed: true })
                passed++;
        var seconds = System.Diagnostics.Stopwatch.GetElapsedTime(started).TotalSeconds;
        Assert.InRange(passed, burst, burst + (int)Math.Ceiling(perSecond * seconds) + 1);
        // The rate is also usable. The test asserts no more, because a caller that pauses longer than a burst loses
        // unused requests.
        Assert.True(passed > burst, $"{passed} in {seconds:0.00} s");
    }

    [Fact]
    public async Task A_rejected_request_costs_nothing_and_gets_a_retry_delay()
    {
        var db = redis.Store.Database;
        var began = System.Diagnostics.Stopwatch.GetTimestamp();
        Assert.Equal((true, 1), await LeftAsync());
        Assert.Equal((true, 0), await LeftAsync());
        var before = await db.StringGetAsync("{k}rejected");
        var refused = await AskAsync(db, "rejected", 60_000_000, 2, 0, "");
        Assert.False(refused.Allowed);
        Assert.Equal("rate", refused.Why);
        Assert.InRange(
            refused.RetryMs,
            59_990 - (long)System.Diagnostics.Stopwatch.GetElapsedTime(began).TotalMilliseconds,
            60_000);
        Assert.Equal((string?)before, (string?)await db.StringGetAsync("{k}rejected"));

        async Task<(bool, int)> LeftAsync()
        {
            var answer = await AskAsync(db, "rejected", 60_000_000, 2, 0, "");
            return (answer.Allowed, answer.Left);
        }
    }

    [Fact]
    public async Task Concurrent_requests_are_bounded_and_an_ended_request_makes_room()
    {
        var db = redis.Store.Database;
        Assert.True((await AskAsync(db, "at-once", 0, 1, 2, "a")).Allowed);
        Assert.True((await AskAsync(db, "at-once", 0, 1, 2, "b")).Allowed);
        var refused = await AskAsync(db, "at-once", 0, 1, 2, "c");
        Assert.Equal((false, "concurrent"), (refused.Allowed, refused.Why));
        await db.SortedSetRemoveAsync("{k}at-once:flight", "a");
        Assert.True((await AskAsync(db, "at-once", 0, 1, 2, "c")).Allowed);
    }

    [Fact]
    public async Task A_running_request_stays_counted_and_one_that_is_not_renewed_makes_room()
    {
        var db = redis.Store.Database;
        Assert.True((await AskAsync(db, "kept", 0, 1, 1, "a")).Allowed);
        Assert.Equal(1, await KeepAsync("a", 600_000));
        Assert.InRange((await db.KeyTimeToLiveAsync("{k}kept:flight"))!.Value.TotalSeconds, 500, 600);
        Assert.Equal("concurrent", (await AskAsync(db, "kept", 0, 1, 1, "b")).Why);
        // Its gateway died, so no gateway renews it.
        await db.SortedSetAddAsync("{k}kept:flight", "a", 1);
        Assert.True((await AskAsync(db, "kept", 0, 1, 1, "b")).Allowed);
        Assert.Equal(0, await KeepAsync("a", 600_000));
        Assert.Equal("b", (string?)Assert.Single(await db.SortedSetRangeByRankAsync("{k}kept:flight")));

        async Task<int> KeepAsync(string request, int ms) =>
            (int)await Keep.RunAsync(db, ["{k}kept:flight"], [request, ms]);
    }

    private static async Task<(bool Allowed, string Why, int Left, long RetryMs)> AskAsync(
        IDatabase db,
        string name,
        long intervalUs,
        int burst,
        int concurrent, string request)
    {
        var reply = await Limit.RunAsync(
            db,
            ["{k}" + name, "{k}" + name + ":flight"],
            [intervalUs, burst, concurrent, request, 60_000]);
        var r = reply.Items();
        return ((int)r[0] == 1, r[1].Text(), (int)r[2], (long)r[4]);
    }
}
