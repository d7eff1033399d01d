using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Gateway.Auth;
using Sluice.Testing;

namespace Sluice.Gateway.Tests.Auth;

/// <summary>Keys in memory, in step with Redis.</summary>
public sealed class KeyRingTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly KeyStore store = new(redis.Store);

    [Fact]
    public async Task A_revoked_key_is_refused_by_another_gateway_at_its_message()
    {
        var (id, text) = await AddAsync();
        using var ring = Ring(TimeProvider.System);
        await ring.StartAsync(default);
        await UntilAsync(() => ring.Find(text, Now, out _) == KeyVerdict.Valid);

        await store.RevokeAsync(id, default);

        await UntilAsync(() => ring.Find(text, Now, out _) == KeyVerdict.Unknown);
        await ring.StopAsync(default);
    }

    [Fact]
    public async Task A_revoked_key_is_refused_within_two_seconds_though_its_message_was_lost()
    {
        var (id, text) = await AddAsync();
        var time = new ManualTime(Now);
        using var ring = Ring(time);
        await ring.StartAsync(default);
        await UntilAsync(() => ring.Find(text, Now, out _) == KeyVerdict.Valid);
        // Around the store, so that no message is sent.
        await redis.Store.Database.HashDeleteAsync("sluice:{keys}:all", id);
        await redis.Store.Database.StringSetAsync("sluice:{keys}:version", "another");

        time.Advance(TimeSpan.FromSeconds(1));

        await UntilAsync(() => ring.Find(text, Now, out _) == KeyVerdict.Unknown);
        await ring.StopAsync(default);
    }

    [Fact]
    public async Task An_expired_key_is_refused_to_the_moment()
    {
        var (_, text) = await AddAsync(expires: Now.AddSeconds(10));
        using var ring = Ring(TimeProvider.System);
        await ring.RefreshAsync(default);
        Assert.Equal(KeyVerdict.Valid, ring.Find(text, Now.AddSeconds(9.999), out _));
        Assert.Equal(KeyVerdict.Expired, ring.Find(text, Now.AddSeconds(10), out _));
    }

    [Fact]
    public async Task Keys_that_were_not_read_for_ten_seconds_are_trusted_no_more()
    {
        var (_, text) = await AddAsync();
        var time = new ManualTime(Now);
        using var ring = Ring(time);
        Assert.Equal(KeyVerdict.CannotCheck, ring.Find(text, Now, out _));
        await ring.RefreshAsync(default);
        time.Advance(KeyRing.StaleAfter);
        Assert.Equal(KeyVerdict.Valid, ring.Find(text, Now, out _));
        time.Advance(TimeSpan.FromSeconds(0.1));
        Assert.Equal(KeyVerdict.CannotCheck, ring.Find(text, Now, out _));
    }

    [Fact]
    public async Task The_admin_key_of_the_environment_needs_no_redis_and_is_compared_whole()
    {
        using var ring = new KeyRing(redis.Store, store, ApiKey.Hash("an-admin-key-of-mine"), TimeProvider.System, NullLogger<KeyRing>.Instance);
        Assert.Equal(KeyVerdict.Valid, ring.Find("an-admin-key-of-mine", Now, out var caller));
        Assert.True(caller!.Scope.Admin);
        Assert.Equal(KeyVerdict.Malformed, ring.Find("an-admin-key-of-min", Now, out _));
        await Task.CompletedTask;
    }

    [Fact]
    public async Task Only_a_hash_is_stored()
    {
        var (_, text) = await AddAsync();
        var all = string.Concat((await redis.Store.Database.HashGetAllAsync("sluice:{keys}:all")).Select(e => e.ToString()));
        Assert.DoesNotContain(text, all, StringComparison.Ordinal);
        Assert.DoesNotContain(text.Split('_')[2], all, StringComparison.Ordinal);
    }

    private async Task<(string Id, string Text)> AddAsync(DateTimeOffset? expires = null)
    {
        var (id, text) = ApiKey.New();
        await store.AddAsync(new KeyRecord
        {
            Id = id,
            Hash = ApiKey.Hash(text),
            Last4 = text[^4..],
            Scope = new KeyScope { Invoke = ["*"] },
            CreatedAt = Now,
            ExpiresAt = expires,
        }, default);
        return (id, text);
    }

    private KeyRing Ring(TimeProvider time) => new(redis.Store, store, null, time, NullLogger<KeyRing>.Instance);

    private static async Task UntilAsync(Func<bool> holds)
    {
        using var limit = new CancellationTokenSource(ChildProcess.Patience, TimeProvider.System);
        while (!holds()) await Task.Delay(TimeSpan.FromMilliseconds(2), TimeProvider.System, limit.Token);
    }
}
