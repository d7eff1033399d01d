using Sluice.Storage.Keys;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Keys;

public sealed class TicketStoreTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    [Fact]
    public async Task A_ticket_is_redeemed_once_by_all_gateways_together()
    {
        var (one, other) = (new TicketStore(redis.Store), new TicketStore(redis.Store));
        await one.StoreAsync("kind", "t", "content", TimeSpan.FromMinutes(1), default);
        var redeemed = await Task.WhenAll(Enumerable.Range(0, 20)
            .Select(n => (n % 2 == 0 ? one : other).RedeemAsync("kind", "t", default)));
        Assert.Equal(["content"], redeemed.Where(r => r is not null));
        Assert.Null(await one.RedeemAsync("kind", "unknown", default));
        await one.StoreAsync("kind", "late", "content", TimeSpan.FromMilliseconds(1), default);
        await Eventually.HoldsAsync(async () =>
            !await redis.Store.Database.KeyExistsAsync("sluice:{tickets}:kind:late"));
        Assert.Null(await one.RedeemAsync("kind", "late", default));
    }
}
