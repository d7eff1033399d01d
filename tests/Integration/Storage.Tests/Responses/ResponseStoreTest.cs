using System.Text;
using Sluice.Storage.Responses;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Responses;

/// <summary>Tests the records of responses: owners, limits and expiry.</summary>
public sealed class ResponseStoreTest(RedisFixture redis) : IClassFixture<RedisFixture>, IAsyncLifetime
{
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);
    private static readonly ResponseLimits Limits = new(40, 100);

    private readonly ResponseStore store = new(redis.Store);

    public async ValueTask InitializeAsync() => await redis.Store.Database.ExecuteAsync("FLUSHALL");

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task A_response_belongs_to_its_owner_until_it_is_deleted()
    {
        Assert.True(await PutAsync("a", "one"));
        Assert.Equal("one", await FindAsync("a"));
        Assert.Null(await store.FindAsync("a", "other", default));
        Assert.False(await store.DeleteAsync("a", "other", default));
        Assert.True(await store.DeleteAsync("a", "key", default));
        Assert.False(await store.DeleteAsync("a", "key", default));
        Assert.Null(await FindAsync("a"));
    }

    [Fact]
    public async Task A_response_expires_and_its_bytes_are_free_again()
    {
        await PutAsync("a", new string('x', 40), TimeSpan.FromMilliseconds(1));
        await PutAsync("b", new string('x', 40));
        await Eventually.HoldsAsync(async () => await FindAsync("a") is null);
        await PutAsync("c", new string('x', 40));
        Assert.NotNull(await FindAsync("b"));
        Assert.NotNull(await FindAsync("c"));
        // All keys expire with the last response.
        foreach (var key in redis.Store.Database.Multiplexer.GetServers()[0].Keys(pattern: "sluice:*"))
            Assert.True(await redis.Store.Database.KeyTimeToLiveAsync(key) <= Hour, key.ToString());
    }

    [Fact]
    public async Task The_oldest_responses_of_a_full_owner_are_deleted()
    {
        Assert.False(await PutAsync("large", new string('x', 41)));
        foreach (var id in new[] { "a", "b" }) await PutAsync(id, new string('x', 40));
        // A repeated call counts its bytes once.
        await PutAsync("b", new string('x', 40), 2 * Hour);
        await PutAsync("b", new string('x', 40), 2 * Hour);
        Assert.NotNull(await FindAsync("a"));
        await PutAsync("c", new string('x', 30), 3 * Hour);
        Assert.Null(await FindAsync("a"));
        Assert.NotNull(await FindAsync("b"));
        await store.DeleteAsync("b", "key", default);
        await PutAsync("d", new string('x', 40), 3 * Hour);
        Assert.NotNull(await FindAsync("c"));
        Assert.NotNull(await FindAsync("d"));
    }

    private Task<bool> PutAsync(string id, string text, TimeSpan? keep = null) =>
        store.PutAsync(id, "key", Encoding.UTF8.GetBytes(text), keep ?? Hour, Limits, default);

    private async Task<string?> FindAsync(string id) =>
        await store.FindAsync(id, "key", default) is { } stored ? Encoding.UTF8.GetString(stored) : null;
}
