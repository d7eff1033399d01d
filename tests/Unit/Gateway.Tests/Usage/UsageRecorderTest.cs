using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Dispatch;
using Sluice.Domain.Usage;
using Sluice.Gateway.Usage;
using Sluice.Storage.Usage;
using Sluice.Testing;

namespace Sluice.Gateway.Tests.Usage;

/// <summary>The batches of a gateway on a real Redis.</summary>
public sealed class UsageRecorderTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private static readonly UsageRow Row = new("k", "m", "");

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

    private static UsageRecorder Recorder(UsageLedger ledger, string gateway) => new(
        ledger, new GatewayId(gateway), TimeProvider.System, NullLogger<UsageRecorder>.Instance);

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
