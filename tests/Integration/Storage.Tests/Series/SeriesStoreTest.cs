using Sluice.Domain.Series;
using Sluice.Storage.Series;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Series;

public sealed class SeriesStoreTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private const long Start = 1_800_000_000;

    [Fact]
    public async Task All_gateways_read_what_each_counted_and_a_repeated_write_counts_nothing_twice()
    {
        var (one, other) = (new SeriesStore(redis.Store), new SeriesStore(redis.Store));
        await one.PutAsync("e", "g1", SeriesResolution.Fine, Start, Counts(1), default);
        await one.PutAsync("e", "g1", SeriesResolution.Fine, Start, Counts(2), default);
        await one.PutAsync("e", "g1", SeriesResolution.Fine, Start, Counts(2), default);
        await other.PutAsync("e", "g2", SeriesResolution.Fine, Start, Counts(3), default);
        // The next block, another resolution, and another endpoint.
        await other.PutAsync("e", "g2", SeriesResolution.Fine, Start + 300, Counts(4), default);
        await other.PutAsync("e", "g2", SeriesResolution.Coarse, Start, Counts(5), default);
        await other.PutAsync("f", "g2", SeriesResolution.Fine, Start, Counts(6), default);

        Assert.Equal([(Start, 2), (Start, 3), (Start + 300, 4)],
            await ReadAsync("e", SeriesResolution.Fine, Start, Start + 310));
        Assert.Equal([(Start, 2), (Start, 3)], await ReadAsync("e", SeriesResolution.Fine, Start, Start + 300));
        Assert.Equal([(Start + 300, 4)], await ReadAsync("e", SeriesResolution.Fine, Start + 10, Start + 600));
        Assert.Equal([(Start, 5)], await ReadAsync("e", SeriesResolution.Coarse, Start, Start + 300));
        Assert.Empty(await ReadAsync("none", SeriesResolution.Fine, Start, Start + 300));
    }

    [Fact]
    public async Task What_is_stored_expires_and_is_small()
    {
        var store = new SeriesStore(redis.Store);
        var counts = Counts(5000);
        for (var ms = 1; ms < 2000; ms++)
        {
            counts.Total.Add(TimeSpan.FromMilliseconds(ms));
            counts.Run.Add(TimeSpan.FromMilliseconds(ms));
            counts.Queue.Add(TimeSpan.FromMilliseconds(ms / 10.0));
        }

        // Two hours of a busy gateway.
        for (var step = 0; step < 720; step++)
            await store.PutAsync("busy", "0123456789abcdef", SeriesResolution.Fine, Start + (10 * step), counts,
                default);
        var (bytes, blocks) = (0L, 0);
        await foreach (var key in redis.Store.Connection.GetServers()[0].KeysAsync(pattern: "sluice:{busy}:series:*"))
        {
            bytes += (long)await redis.Store.Database.ExecuteAsync("MEMORY", "USAGE", (string)key!, "SAMPLES", "0");
            Assert.InRange((await redis.Store.Database.KeyTimeToLiveAsync(key))!.Value, TimeSpan.FromHours(2),
                TimeSpan.FromMinutes(125));
            blocks++;
        }

        Assert.Equal(24, blocks);
        Assert.InRange(bytes, 1, 500_000);
        await store.PutAsync("busy", "g", SeriesResolution.Coarse, Start, counts, default);
        var coarse = $"sluice:{{busy}}:series:300:{SeriesResolution.Coarse.BlockOf(Start)}";
        Assert.InRange((await redis.Store.Database.KeyTimeToLiveAsync(coarse))!.Value, TimeSpan.FromHours(51),
            TimeSpan.FromHours(52));
    }

    private async Task<IEnumerable<(long Start, long Requests)>> ReadAsync(
        string endpoint, SeriesResolution resolution, long from, long to) =>
        (await new SeriesStore(redis.Store).ReadAsync(endpoint, resolution, from, to, default))
            .Select(s => (s.Start, s.Counts.Requests)).Order();

    private static SeriesCounts Counts(long requests) => new() { Requests = requests };
}
