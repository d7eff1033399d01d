using Sluice.Storage.Keys;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Keys;

public sealed class SessionStoreTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private static readonly DateTimeOffset Now = new(2026, 11, 30, 9, 0, 0, TimeSpan.Zero);

    [Fact]
    public async Task A_session_is_found_by_its_token_at_every_gateway_until_it_is_deleted()
    {
        var (one, other) = (new SessionStore(redis.Store), new SessionStore(redis.Store));
        var session = Session("k", Now);
        await one.CreateAsync("secret-token", session, default);
        Assert.Equal(session, await other.FindAsync("secret-token", default));
        Assert.Null(await other.FindAsync("another", default));
        await foreach (var key in redis.Store.Connection.GetServers()[0].KeysAsync(pattern: "sluice:{sessions}:*"))
        {
            Assert.DoesNotContain("secret-token", (string)key!, StringComparison.Ordinal);
            Assert.InRange((await redis.Store.Database.KeyTimeToLiveAsync(key))!.Value, TimeSpan.FromHours(11),
                TimeSpan.FromHours(12));
        }

        await other.DeleteAsync("secret-token", session, default);
        Assert.Null(await one.FindAsync("secret-token", default));
        Assert.False(await redis.Store.Database.KeyExistsAsync("sluice:{sessions}:key:k"));
    }

    [Fact]
    public async Task A_key_has_a_bounded_number_of_sessions_of_which_the_oldest_end()
    {
        var store = new SessionStore(redis.Store);
        await store.CreateAsync("of-another-key", Session("other", Now), default);
        var tokens = Enumerable.Range(0, SessionStore.MaxPerKey + 3).Select(n => $"token-{n}").ToList();
        for (var n = 0; n < tokens.Count; n++)
            await store.CreateAsync(tokens[n], Session("many", Now.AddSeconds(n)), default);
        var found = new List<string>();
        foreach (var token in tokens)
            if (await store.FindAsync(token, default) is not null) found.Add(token);
        Assert.Equal(tokens[3..], found);
        Assert.NotNull(await store.FindAsync("of-another-key", default));

        // Those that have ended do not count.
        await store.CreateAsync("late", Session("many", Now.AddHours(13)), default);
        Assert.Equal(1, await redis.Store.Database.SortedSetLengthAsync("sluice:{sessions}:key:many"));
    }

    private static Session Session(string key, DateTimeOffset at) => new(key, "proof", at, at.AddHours(12));
}
