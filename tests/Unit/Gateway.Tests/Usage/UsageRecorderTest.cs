using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Dispatch;
using Sluice.Domain.Usage;
using Sluice.Gateway.Usage;
using Sluice.Storage.Usage;
using Sluice.Testing;

namespace Sluice.Gateway.Tests.Usage;

/// <summary>The batches of a gateway on a real Redis.</summary>
public sealed class UsageRecorderTest(RedisFixture redis) : IClassFixture<RedisFixture>, IDisposable
{
    private static readonly UsageRow Row = new("k", "m", "");

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-usage-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task Concurrent_usage_is_counted_once_and_completely()
    {
        const int writers = 8, each = 2000;
        var ledger = new UsageLedger(redis.Store, TimeProvider.System);
        using var recorder = Recorder(ledger, "g1");
        var writing = Task.WhenAll(Enumerable.Range(0, writers).Select(w => Task.Run(() =>
        {
            for (var i = 0; i < each; i++)
                recorder.Add($"e{i % 3}", new WorkUsage(Row with { Key = $"k{w % 2}" }) { Busy = 1 });
        })));
        while (!writing.IsCompleted) await recorder.FlushAsync(default);
        await writing;
        await recorder.FlushAsync(default);
        // Rows without usage are removed, and a later one counts again.
        await recorder.FlushAsync(default);
        recorder.Add("e0", new WorkUsage(Row with { Key = "k0" }) { Busy = 1 });
        await recorder.FlushAsync(default);

        Assert.Equal((writers * each) + 1, await SumAsync(ledger, "e0", "e1", "e2"));
        Assert.Superset(new HashSet<string>(["e0", "e1", "e2"]), (await ledger.EndpointsAsync(default)).ToHashSet());
    }

    [Fact]
    public async Task A_batch_that_Redis_did_not_confirm_is_repeated()
    {
        await using var own = new RedisFixture();
        await own.InitializeAsync();
        var ledger = new UsageLedger(own.Store, TimeProvider.System);
        using var recorder = Recorder(ledger, "g2");
        recorder.Add("e", new WorkUsage(Row) { Busy = 3 });
        await recorder.FlushAsync(default);
        await own.KillAsync();
        recorder.Add("e", new WorkUsage(Row) { Busy = 40 });
        await recorder.FlushAsync(default);
        recorder.Add("e", new WorkUsage(Row) { Busy = 500 });
        await recorder.FlushAsync(default);
        await own.StartAsync();
        while (await SumAsync(ledger, "e") < 543) await recorder.FlushAsync(default);
        await recorder.FlushAsync(default);

        Assert.Equal(543, await SumAsync(ledger, "e"));
    }

    [Fact]
    public async Task What_a_killed_process_left_is_counted_once_by_the_next_one()
    {
        var ledger = new UsageLedger(redis.Store, TimeProvider.System);
        // Not disposed, as a process that was killed.
        var killed = Recorder(ledger, "g3");
        killed.Add("left", new WorkUsage(Row) { Busy = 3 });
        await killed.FlushAsync(default);
        killed.Add("left", new WorkUsage(Row) { Busy = 40 });
        killed.Add("left", new WorkUsage(Row with { Gpu = "L4" }) { Busy = 500 });

        using (var next = Recorder(ledger, "g4"))
        {
            next.Add("left", new WorkUsage(Row) { Busy = 6000 });
            await next.FlushAsync(default);
            await next.FlushAsync(default);
            Assert.Equal(6543, await SumAsync(ledger, "left"));
        }

        Assert.Empty(Directory.GetFiles(folder));
        GC.KeepAlive(killed);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_batch_that_was_being_sent_when_the_process_was_killed_counts_once(bool hasArrived)
    {
        var ledger = new UsageLedger(redis.Store, TimeProvider.System);
        var (endpoint, gateway) = ($"sent{hasArrived}", "g5");
        var file = new UsageFolder(folder).Create(gateway);
        var (first, second) = (file.TryTake(endpoint, Row)!, file.TryTake(endpoint, Row with { Key = "other" })!);
        first.Add(UsageQuantity.Busy, 1);
        second.Add(UsageQuantity.Busy, 20);
        file.BeginBatch(7, TimeProvider.System.GetUtcNow());
        var sums = first.Take(7)!;
        if (hasArrived) await ledger.AddAsync(endpoint, gateway, 7, [(Row, sums)], default);
        first.Add(UsageQuantity.Busy, 300);

        using var next = Recorder(ledger, "g6");
        await next.FlushAsync(default);
        await next.FlushAsync(default);

        Assert.Equal(321, await SumAsync(ledger, endpoint));
        file.Dispose();
    }

    [Fact]
    public void A_file_that_is_full_has_no_slot_until_one_is_free()
    {
        using var file = new UsageFolder(folder).Create("g7");
        var slots = Enumerable.Range(0, UsageFile.MaxRows)
            .Select(i => file.TryTake("e", Row with { Key = $"k{i}" })!).ToList();
        Assert.Null(file.TryTake("e", Row));
        Assert.Null(file.TryTake("e", Row with { Model = new string('m', 500) }));
        file.Free(slots[5]);
        Assert.NotNull(file.TryTake("e", Row with { Key = "new" }));
        Assert.Equal(UsageFile.MaxRows, file.Rows.Count());
        Assert.Equal(("e", Row with { Key = "new" }), file.Rows.Select(r => (r.Endpoint, r.Row)).ElementAt(5));
    }

    private UsageRecorder Recorder(UsageLedger ledger, string gateway) => new(ledger, new UsageFolder(folder),
        new GatewayId(gateway), TimeProvider.System, NullLogger<UsageRecorder>.Instance);

    private static async Task<long> SumAsync(UsageLedger ledger, params string[] endpoints)
    {
        var now = TimeProvider.System.GetUtcNow();
        var sum = 0L;
        foreach (var endpoint in endpoints)
            foreach (var period in await ReadAsync(endpoint))
                sum += period.Rows.Values.Sum(s => s[UsageQuantity.Busy]);
        return sum;

        async Task<IReadOnlyList<UsagePeriod>> ReadAsync(string endpoint)
        {
            while (true)
            {
                try
                {
                    return await ledger.ReadAsync(endpoint, now.AddDays(-1), now.AddDays(1), default);
                }
                catch (Exception e) when (Sluice.Storage.Redis.RedisErrors.Is(e))
                {
                    // Redis has just started.
                    await Task.Yield();
                }
            }
        }
    }
}
