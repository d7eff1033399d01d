using Sluice.Storage.Keys;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Keys;

public sealed class KeyStoreTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private readonly KeyStore store = new(redis.Store);

    [Fact]
    public async Task A_key_is_replaced_only_if_it_is_as_it_was_read()
    {
        await store.AddAsync(Key("a"), default);
        var (one, other) = (await FindAsync("a"), await FindAsync("a"));
        Assert.Equal(KeyWrite.Written, await store.ReplaceAsync(one, one.Key with { Name = "of one" }, default));
        var version = (await store.ReadAsync(null, default)).Version;
        Assert.Equal(KeyWrite.Changed, await store.ReplaceAsync(other, other.Key with { Last4 = "wxyz" }, default));

        // A refused replacement is no change for other gateways.
        Assert.Equal((version, "of one", "last"), ((await store.ReadAsync(version, default)).Version,
            (await FindAsync("a")).Key.Name, (await FindAsync("a")).Key.Last4));
        other = await FindAsync("a");
        Assert.Equal(KeyWrite.Written, await store.ReplaceAsync(other, other.Key with { Last4 = "wxyz" }, default));
        Assert.Equal(("of one", "wxyz"), ((await FindAsync("a")).Key.Name, (await FindAsync("a")).Key.Last4));
    }

    [Fact]
    public async Task A_key_that_was_revoked_is_not_stored_again()
    {
        await store.AddAsync(Key("b"), default);
        var stored = await FindAsync("b");
        Assert.Equal(KeyWrite.Written, await store.RevokeAsync("b", default));
        Assert.Equal(KeyWrite.NoSuchKey, await store.ReplaceAsync(stored, stored.Key, default));
        Assert.Null(await store.FindStoredAsync("b", default));
        Assert.Equal(KeyWrite.NoSuchKey, await store.RevokeAsync("b", default));
    }

    private async Task<StoredKey> FindAsync(string id) => (await store.FindStoredAsync(id, default))!;

    private static ApiKey Key(string id) => new()
    {
        Id = id,
        Hash = [1, 2, 3],
        Last4 = "last",
        Scope = new KeyScope { Read = true },
        CreatedAt = new DateTimeOffset(2026, 11, 30, 9, 0, 0, TimeSpan.Zero),
    };
}
