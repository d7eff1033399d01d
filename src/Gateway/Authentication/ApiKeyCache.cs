using System.Collections.Concurrent;
using System.Security.Cryptography;
using Sluice.Storage.Background;
using Sluice.Storage.Keys;
using Sluice.Storage.Redis;

namespace Sluice.Gateway.Authentication;

/// <summary>
/// Caches all keys in memory and finds the caller of a key. A change message, and a poll every second in case a message
/// was lost, cause a read of the keys that changed since the last read, so every gateway rejects a revoked key within
/// 2 s. While Redis is unavailable, the last state is used for <see cref="StaleAfter"/>; after that, no key is
/// accepted.
/// </summary>
public sealed class ApiKeyCache(
    RedisStore redis,
    KeyStore store,
    byte[]? adminHash,
    TimeProvider time,
    ILogger<ApiKeyCache> logger)
    : RedisWatcher(redis, KeyStore.Channel, time, logger)
{
    /// <summary>Equal to a gateway's lease on slots: without Redis, no work continues for longer.</summary>
    public static readonly TimeSpan StaleAfter = TimeSpan.FromSeconds(10);

    /// <summary>
    /// The caller of the key in the environment. The key is not listed; only a restart can revoke it.
    /// </summary>
    private static readonly Caller EnvironmentAdmin =
        new("env", "SLUICE_ADMIN_KEY", new KeyScope { Admin = true }, KeyLimits.None);

    /// <summary>A key that expires within this time is <c>expiring</c> in <see cref="CountByScope"/>.</summary>
    public static readonly TimeSpan ExpiringWithin = TimeSpan.FromDays(14);

    private static readonly string[] Scopes = ["admin", "read", "invoke", "metrics"];

    private static readonly string[] States = ["valid", "expiring", "expired"];

    private static readonly byte[] Dummy = SHA256.HashData([0]);

    private readonly TimeProvider time = time;
    private readonly ConcurrentDictionary<string, CachedKey> keys = new(StringComparer.Ordinal);
    private volatile Snapshot? snapshot;

    /// <summary>Whether the keys were read at least once.</summary>
    public bool Loaded => snapshot is not null;

    /// <summary>Finds the caller of a key.</summary>
    /// <param name="text">The text of the key.</param>
    /// <param name="now">The current time, for expiry.</param>
    /// <param name="caller">The caller if the key is valid; otherwise null.</param>
    public KeyVerdict Find(ReadOnlySpan<char> text, DateTimeOffset now, out Caller? caller)
    {
        caller = null;
        var hash = ApiKeyFormat.Hash(text);
        if (adminHash is not null && CryptographicOperations.FixedTimeEquals(hash, adminHash))
        {
            caller = EnvironmentAdmin;
            return KeyVerdict.Valid;
        }

        if (!ApiKeyFormat.TryReadId(text, out var id)) return KeyVerdict.Malformed;
        if (snapshot is not { } last || time.GetElapsedTime(last.ReadAt) > StaleAfter) return KeyVerdict.CannotCheck;
        var known = keys.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(id, out var found);
        // An unknown ID costs the same work, so that the response time does not reveal whether the ID exists.
        var expected = found?.Record.Hash ?? Dummy;
        if (!CryptographicOperations.FixedTimeEquals(hash, expected) || !known) return KeyVerdict.Unknown;
        return Accept(found!, now, out caller);
    }

    /// <summary>
    /// Finds the caller of a key by its id, for requests that proved earlier that they have the key.
    /// </summary>
    /// <param name="id">The id of the key.</param>
    /// <param name="now">The current time, for expiry.</param>
    /// <param name="caller">The caller if the key is valid; otherwise null.</param>
    public KeyVerdict FindById(string id, DateTimeOffset now, out Caller? caller)
    {
        caller = null;
        if (id == EnvironmentAdmin.KeyId)
        {
            if (adminHash is null) return KeyVerdict.Unknown;
            caller = EnvironmentAdmin;
            return KeyVerdict.Valid;
        }

        if (snapshot is not { } last || time.GetElapsedTime(last.ReadAt) > StaleAfter) return KeyVerdict.CannotCheck;
        return keys.TryGetValue(id, out var found) ? Accept(found, now, out caller) : KeyVerdict.Unknown;
    }

    /// <summary>
    /// Returns a value that only the key with this id and this text has, for sessions; null: there is no such key. A
    /// restart can change the key of the environment, which keeps its id.
    /// </summary>
    public string? ProofOf(string id)
    {
        var hash = id == EnvironmentAdmin.KeyId ? adminHash : FindRecord(id)?.Hash;
        return hash is null ? null : Convert.ToHexStringLower(SHA256.HashData([.. hash, .. "session"u8]));
    }

    /// <summary>Returns the limits of a key, as of the last read. A key that does not exist has none.</summary>
    public KeyLimits FindLimits(string id) => keys.TryGetValue(id, out var key) && key.Record.Limits is { } limits
        ? limits
        : KeyLimits.None;

    /// <summary>Returns one page of the keys as of the last read, oldest first.</summary>
    /// <param name="after">The last key of the previous page; null for the first page.</param>
    /// <param name="limit">The maximum number of keys in the page.</param>
    public IReadOnlyList<ApiKey> List(KeyCursor? after, int limit) =>
        [
            .. keys.Values.Select(k => k.Record).Where(k => after is not { } last || last.IsBefore(k))
                .OrderBy(k => k.CreatedAt)
                .ThenBy(k => k.Id, StringComparer.Ordinal)
                .Take(limit),
        ];

    /// <summary>Returns the record of a key, as of the last read, or null.</summary>
    public ApiKey? FindRecord(string id) => keys.TryGetValue(id, out var key) ? key.Record : null;

    /// <summary>
    /// Counts the keys by their widest scope: <c>admin</c>, <c>read</c>, <c>invoke</c> (endpoints or pods), or
    /// <c>metrics</c>; and by their state: <c>valid</c>, <c>expiring</c> (valid, but not for
    /// <see cref="ExpiringWithin"/>) or <c>expired</c>.
    /// </summary>
    public IReadOnlyList<(string Scope, string State, long Count)> CountByScope(DateTimeOffset now)
    {
        var counts = keys.Values.CountBy(k => (ScopeOf(k.Record.Scope), StateOf(k.Record, now))).ToDictionary();
        return
        [
            .. from scope in Scopes from state in States
               select (scope, state, (long)counts.GetValueOrDefault((scope, state))),
        ];

        static string ScopeOf(KeyScope scope) => scope switch
        {
            { Admin: true } => "admin",
            { Read: true } => "read",
            { Invoke.Count: 0, Pods.Count: 0, Metrics: true } => "metrics",
            _ => "invoke",
        };

        static string StateOf(ApiKey key, DateTimeOffset now) => key.ExpiresAt switch
        {
            { } end when end <= now => "expired",
            { } end when end <= now + ExpiringWithin => "expiring",
            _ => "valid",
        };
    }

    /// <summary>
    /// Returns the admin keys that are valid now, except one, at most <paramref name="limit"/>. Null: an admin key is a
    /// setting, so none of them is needed.
    /// </summary>
    public IReadOnlyList<string>? OtherAdmins(string id, DateTimeOffset now, int limit) => adminHash is not null
        ? null
        : [
            .. keys.Values.Select(k => k.Record)
                .Where(k => k.Scope.Admin && k.Id != id && !(k.ExpiresAt <= now))
                .Select(k => k.Id)
                .Take(limit),
        ];

    /// <summary>Returns the keys that this gateway accepted, and when it last did, in seconds of Unix time.</summary>
    public IEnumerable<(string Id, long UnixSeconds)> Uses() =>
        keys.Values.Where(k => k.UsedAt > 0).Select(k => (k.Record.Id, k.UsedAt));

    protected override async Task ReadAsync(CancellationToken ct)
    {
        var startedAt = time.GetTimestamp();
        var changes = await store.ReadAsync(snapshot?.Version, ct);
        if (changes.All)
        {
            var ids = changes.Keys.Select(k => k.Id).ToHashSet();
            foreach (var id in keys.Keys.Where(id => !ids.Contains(id))) keys.TryRemove(id, out _);
        }

        foreach (var (id, record) in changes.Keys)
        {
            if (record is null) keys.TryRemove(id, out _);
            else keys[id] = new CachedKey(record);
        }

        snapshot = new Snapshot(changes.Version, startedAt);
    }

    private static KeyVerdict Accept(CachedKey key, DateTimeOffset now, out Caller? caller)
    {
        caller = null;
        if (key.Record.ExpiresAt <= now) return KeyVerdict.Expired;
        key.Use(now);
        caller = key.Caller;
        return KeyVerdict.Valid;
    }

    private sealed record Snapshot(string Version, long ReadAt);
}
