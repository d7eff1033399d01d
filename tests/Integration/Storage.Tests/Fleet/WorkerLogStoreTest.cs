using Sluice.Storage.Fleet;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Fleet;

/// <summary>Tests that the logs of workers are bounded, and read from any position.</summary>
public sealed class WorkerLogStoreTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private static readonly DateTimeOffset Now = new(2026, 11, 30, 0, 0, 0, TimeSpan.Zero);

    private readonly ManualTime time = new(Now);

    [Fact]
    public async Task The_last_lines_stay_and_are_read_from_the_end_or_after_a_line()
    {
        var store = new WorkerLogStore(redis.Store, time);
        const int written = WorkerLogStore.MaxLines + 30;
        foreach (var part in Enumerable.Range(0, written).Chunk(100))
        {
            var lines = part.Select(i => new WorkerOutput(Now.AddSeconds(i), $"line {i}", i == written - 1));
            await store.AppendAsync("e", "w", [.. lines], default);
        }

        var tail = await store.TailAsync("e", "w", 3, default);
        Assert.Equal([written - 3, written - 2, written - 1], tail.Select(l => int.Parse(l.Text[5..], null)));
        Assert.Equal(Now.AddSeconds(written - 1), tail[^1].At);
        Assert.Equal(["worker", "worker", "system"], tail.Select(l => l.Source));
        Assert.Equal([tail[2]], await store.AfterAsync("e", "w", tail[1].Id, default));
        var all = await store.AfterAsync("e", "w", "", default);
        Assert.Equal((WorkerLogStore.MaxLines, "line 30"), (all.Count, all[0].Text));
        Assert.Empty(await store.TailAsync("e", "other", 10, default));
        Assert.Empty(await store.TailAsync("e", "w", 0, default));
        var life = await redis.Store.Database.KeyTimeToLiveAsync("sluice:{e}:log:w");
        Assert.InRange(life!.Value, TimeSpan.FromHours(23), WorkerLogStore.Life);
    }

    [Fact]
    public async Task An_endpoint_keeps_the_logs_of_the_workers_that_wrote_last()
    {
        var store = new WorkerLogStore(redis.Store, time);
        for (var i = 0; i < WorkerLogStore.MaxLogs + 2; i++)
        {
            await store.AppendAsync("many", $"w{i}", [new WorkerOutput(Now, "a")], default);
            time.Advance(TimeSpan.FromSeconds(1));
            // The first worker still writes.
            await store.AppendAsync("many", "w0", [new WorkerOutput(Now, "b")], default);
            time.Advance(TimeSpan.FromSeconds(1));
        }

        var stored = await store.ListAsync("many", default);
        Assert.Equal(WorkerLogStore.MaxLogs, stored.Count);
        Assert.Contains("w0", stored.Keys);
        Assert.DoesNotContain("w1", stored.Keys);
        Assert.Empty(await store.TailAsync("many", "w1", 10, default));
        Assert.Single(await store.TailAsync("many", "w3", 10, default));
    }
}
