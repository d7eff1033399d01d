using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Gateway.Authentication;
using Sluice.Storage.Keys;
using Sluice.Testing;
using StackExchange.Redis;

namespace Sluice.Gateway.Tests.Auth;

/// <summary>Tests that the keys in memory follow the keys in Redis.</summary>
public sealed class ApiKeyCacheTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly KeyStore store = new(redis.Store);

    [Fact]
    public async Task Another_gateway_rejects_a_revoked_key_when_it_receives_the_message()
    {
        var (id, text) = await AddAsync();
        using var ring = Ring(TimeProvider.System);
        await ring.StartAsync(default);
        await Eventually.HoldsAsync(() => ring.Find(text, Now, out _) == KeyVerdict.Valid);

        await store.RevokeAsync(id, default);

        await Eventually.HoldsAsync(() => ring.Find(text, Now, out _) == KeyVerdict.Unknown);
        await ring.StopAsync(default);
    }

    [Fact]
    public async Task A_revoked_key_is_rejected_within_two_seconds_if_its_message_is_lost()
    {
        var (id, text) = await AddAsync();
        var time = new ManualTime(Now);
        using var ring = Ring(time);
        await ring.StartAsync(default);
        await Eventually.HoldsAsync(() => ring.Find(text, Now, out _) == KeyVerdict.Valid);
        // Written without the store, so that no message is sent.
        await redis.Store.Database.HashDeleteAsync("sluice:{keys}:all", id);
        await redis.Store.Database.StringSetAsync("sluice:{keys}:version", "another");

        time.Advance(TimeSpan.FromSeconds(1));

        await Eventually.HoldsAsync(() => ring.Find(text, Now, out _) == KeyVerdict.Unknown);
        await ring.StopAsync(default);
    }

    [Fact]
    public async Task A_key_is_rejected_from_its_expiry_time()
    {
        var (_, text) = await AddAsync(expires: Now.AddSeconds(10));
        using var ring = Ring(TimeProvider.System);
        await ring.RefreshAsync(default);
        Assert.Equal(KeyVerdict.Valid, ring.Find(text, Now.AddSeconds(9.999), out _));
        Assert.Equal(KeyVerdict.Expired, ring.Find(text, Now.AddSeconds(10), out _));
    }

    [Fact]
    public async Task Keys_that_were_not_read_for_ten_seconds_are_not_accepted()
    {
        var (_, text) = await AddAsync();
        var time = new ManualTime(Now);
        using var ring = Ring(time);
        Assert.Equal(KeyVerdict.CannotCheck, ring.Find(text, Now, out _));
        await ring.RefreshAsync(default);
        time.Advance(ApiKeyCache.StaleAfter);
        Assert.Equal(KeyVerdict.Valid, ring.Find(text, Now, out _));
        time.Advance(TimeSpan.FromSeconds(0.1));
        Assert.Equal(KeyVerdict.CannotCheck, ring.Find(text, Now, out _));
    }

    [Fact]
    public async Task The_admin_key_of_the_environment_works_without_Redis_and_must_match_exactly()
    {
        using var ring = new ApiKeyCache(
            redis.Store,
            store,
            ApiKeyFormat.Hash("an-admin-key-of-mine"),
            TimeProvider.System,
            NullLogger<ApiKeyCache>.Instance);
        Assert.Equal(KeyVerdict.Valid, ring.Find("an-admin-key-of-mine", Now, out var caller));
        Assert.True(caller!.Scope.Admin);
        Assert.Equal(KeyVerdict.Malformed, ring.Find("an-admin-key-of-min", Now, out _));
        await Task.CompletedTask;
    }

    [Fact]
    public async Task A_new_or_revoked_key_is_read_without_the_other_keys()
    {
        var before = await AddAsync();
        for (var i = 0; i < 100; i++) await AddAsync();
        using var ring = Ring(TimeProvider.System);
        await ring.RefreshAsync(default);
        var whole = await CallsAsync("hgetall");
        var bytes = await SentAsync();

        var (id, text) = await AddAsync();
        await ring.RefreshAsync(default);
        Assert.Equal(KeyVerdict.Valid, ring.Find(text, Now, out _));
        await store.RevokeAsync(id, default);
        await store.RevokeAsync(before.Id, default);
        await ring.RefreshAsync(default);

        Assert.Equal(
            (KeyVerdict.Unknown, KeyVerdict.Unknown),
            (ring.Find(text, Now, out _), ring.Find(before.Text, Now, out _)));
        Assert.Equal(whole, await CallsAsync("hgetall"));
        // A record has 250 bytes: the 100 other records would be 25 KB.
        Assert.InRange(await SentAsync() - bytes, 0, 10_000);
    }

    [Fact]
    public async Task A_ring_that_missed_many_changes_reads_all_keys_and_drops_the_deleted_ones()
    {
        var first = await AddAsync();
        using var ring = Ring(TimeProvider.System);
        await ring.RefreshAsync(default);
        await store.RevokeAsync(first.Id, default);
        // More changes than Redis keeps.
        var (id, text) = ApiKeyFormat.New();
        for (var i = 0; i < 1001; i++) await store.AddAsync(Record(id, text, null), default);

        await ring.RefreshAsync(default);

        Assert.Equal(
            (KeyVerdict.Unknown, KeyVerdict.Valid),
            (ring.Find(first.Text, Now, out _), ring.Find(text, Now, out _)));
    }

    [Fact]
    public async Task After_Redis_loses_its_last_writes_the_ring_has_the_same_keys_as_Redis()
    {
        var db = redis.Store.Database;
        var revoked = await AddAsync();
        RedisKey[] keys = ["sluice:{keys}:all", "sluice:{keys}:version", "sluice:{keys}:changes"];
        var saved = await Task.WhenAll(keys.Select(async k => (Key: k, Dump: await db.KeyDumpAsync(k))));
        await store.RevokeAsync(revoked.Id, default);
        var lost = await AddAsync();
        using var ring = Ring(TimeProvider.System);
        await ring.RefreshAsync(default);
        Assert.Equal(
            (KeyVerdict.Unknown, KeyVerdict.Valid),
            (ring.Find(revoked.Text, Now, out _), ring.Find(lost.Text, Now, out _)));

        foreach (var (key, dump) in saved)
        {
            await db.KeyDeleteAsync(key);
            await db.KeyRestoreAsync(key, dump!);
        }

        var later = await AddAsync();
        await ring.RefreshAsync(default);

        Assert.Equal((KeyVerdict.Valid, KeyVerdict.Unknown, KeyVerdict.Valid),
            (ring.Find(revoked.Text, Now, out _), ring.Find(lost.Text, Now, out _), ring.Find(later.Text, Now, out _)));
    }

    [Fact]
    public async Task The_pages_contain_each_key_once_even_if_the_last_key_of_a_page_is_revoked()
    {
        var made = new HashSet<string>();
        for (var i = 0; i < 5; i++) made.Add((await AddAsync()).Id);
        using var ring = Ring(TimeProvider.System);
        await ring.RefreshAsync(default);
        var seen = new List<string>();
        KeyCursor? after = null;
        while (ring.List(after, 2) is { Count: > 0 } page)
        {
            seen.AddRange(page.Select(k => k.Id));
            Assert.True(KeyCursor.TryParse(KeyCursor.FromKey(page[^1]).ToString(), out var cursor));
            after = cursor;
            await store.RevokeAsync(page[^1].Id, default);
            await ring.RefreshAsync(default);
        }

        Assert.Equal(seen.Count, seen.Distinct().Count());
        Assert.Subset(seen.ToHashSet(), made);
    }

    [Fact]
    public async Task An_unreadable_record_is_not_a_key_and_does_not_affect_other_keys()
    {
        var (_, text) = await AddAsync();
        await redis.Store.Database.HashSetAsync("sluice:{keys}:all", "spoilt", "{");
        await redis.Store.Database.StringSetAsync("sluice:{keys}:version", "spoilt");
        using var ring = Ring(TimeProvider.System);
        await ring.RefreshAsync(default);
        Assert.Equal(KeyVerdict.Valid, ring.Find(text, Now, out _));
        await redis.Store.Database.HashDeleteAsync("sluice:{keys}:all", "spoilt");
    }

    [Fact]
    public async Task The_last_use_of_a_key_is_recorded_and_the_latest_time_stays()
    {
        var used = await AddAsync();
        var unused = await AddAsync();
        using var ring = Ring(TimeProvider.System);
        using var other = Ring(TimeProvider.System);
        await ring.RefreshAsync(default);
        await other.RefreshAsync(default);
        ring.Find(used.Text, Now.AddSeconds(30), out _);
        other.FindById(used.Id, Now.AddSeconds(10), out _);
        // A rejected key is not used.
        ring.Find(unused.Text[..^1] + (unused.Text[^1] == '0' ? '1' : '0'), Now, out _);
        using var recorder = new KeyUseRecorder(
            store, ring, TimeProvider.System, NullLogger<KeyUseRecorder>.Instance);
        using var late = new KeyUseRecorder(store, other, TimeProvider.System, NullLogger<KeyUseRecorder>.Instance);

        await recorder.RecordAsync(default);
        await late.RecordAsync(default);

        Assert.Equal([Now.AddSeconds(30), null], await store.LastUsesAsync([used.Id, unused.Id], default));
        // Nothing is recorded for a key that was revoked, before or after.
        await store.RevokeAsync(used.Id, default);
        Assert.Equal([null], await store.LastUsesAsync([used.Id], default));
        await store.RecordUseAsync([(used.Id, 5)], default);
        Assert.Equal([null], await store.LastUsesAsync([used.Id], default));
    }

    [Fact]
    public async Task Only_the_hash_of_a_key_is_stored()
    {
        var (_, text) = await AddAsync();
        var records = await redis.Store.Database.HashGetAllAsync("sluice:{keys}:all");
        var all = string.Concat(records.Select(e => e.ToString()));
        Assert.DoesNotContain(text, all, StringComparison.Ordinal);
        Assert.DoesNotContain(text.Split('_')[2], all, StringComparison.Ordinal);
    }

    private async Task<(string Id, string Text)> AddAsync(DateTimeOffset? expires = null)
    {
        var (id, text) = ApiKeyFormat.New();
        await store.AddAsync(Record(id, text, expires), default);
        return (id, text);
    }

    private static ApiKey Record(string id, string text, DateTimeOffset? expires) => new()
    {
        Id = id,
        Hash = ApiKeyFormat.Hash(text),
        Last4 = text[^4..],
        Scope = new KeyScope { Invoke = ["*"] },
        CreatedAt = Now,
        ExpiresAt = expires,
    };

    /// <summary>Returns the number of calls of a command in Redis as "calls=N", or an empty text for none.</summary>
    private async Task<string> CallsAsync(string command)
    {
        var stats = await InfoAsync("commandstats", "cmdstat_" + command);
        return stats.Length > 0 ? stats.Split(',')[0] : "";
    }

    /// <summary>Returns the number of bytes that Redis sent.</summary>
    private async Task<long> SentAsync() =>
        long.Parse(
            await InfoAsync("stats", "total_net_output_bytes"),
            System.Globalization.CultureInfo.InvariantCulture);

    private async Task<string> InfoAsync(string section, string field) =>
        ((string)(await redis.Store.Database.ExecuteAsync("INFO", section))!).Split("\r\n")
            .FirstOrDefault(l => l.StartsWith(field + ":", StringComparison.Ordinal))?.Split(':')[1] ?? "";

    private ApiKeyCache Ring(TimeProvider time) =>
        new(redis.Store, store, null, time, NullLogger<ApiKeyCache>.Instance);
}
