using System.Collections.Concurrent;
using System.Security.Cryptography;
using Sluice.Core.Redis;

namespace Sluice.Gateway.Auth;

/// <summary>
/// All valid keys in memory. A message about a change, and a poll every second in case a message was lost, read the keys that changed since the
/// last read, so a revoked key is refused everywhere within 2 s. While Redis cannot be asked the last state is
/// used for <see cref="StaleAfter"/>; after that no key can be trusted.
/// </summary>
public sealed class KeyRing(RedisStore redis, KeyStore store, byte[]? adminHash, TimeProvider time, ILogger<KeyRing> logger)
    : RedisWatcher(redis, KeyStore.Channel, time, logger)
{
    /// <summary>As long as a gateway's lease on slots: without Redis nothing goes on for longer.</summary>
    public static readonly TimeSpan StaleAfter = TimeSpan.FromSeconds(10);

    /// <summary>The key given in the environment; in no list, and not to be revoked but by a new start.</summary>
    private static readonly Caller EnvironmentAdmin = new("env", "SLUICE_ADMIN_KEY", new KeyScope { Admin = true }, KeyLimits.None);

    private static readonly byte[] Dummy = SHA256.HashData([0]);

    private readonly TimeProvider time = time;
    private readonly ConcurrentDictionary<string, KeyRecord> keys = new(StringComparer.Ordinal);
    private volatile Held? held;

    public bool Loaded => held is not null;

    /// <summary>Whose key this is.</summary>
    public KeyVerdict Find(ReadOnlySpan<char> text, DateTimeOffset now, out Caller? caller)
    {
        caller = null;
        var hash = ApiKey.Hash(text);
        if (adminHash is not null && CryptographicOperations.FixedTimeEquals(hash, adminHash))
        {
            caller = EnvironmentAdmin;
            return KeyVerdict.Valid;
        }

        if (!ApiKey.TryReadId(text, out var id)) return KeyVerdict.Malformed;
        if (held is not { } ring || time.GetElapsedTime(ring.ReadAt) > StaleAfter) return KeyVerdict.CannotCheck;
        var known = keys.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(id, out var record);
        // The same work for an unknown id.
        if (!CryptographicOperations.FixedTimeEquals(hash, record?.Hash ?? Dummy) || !known) return KeyVerdict.Unknown;
        if (record!.ExpiresAt <= now) return KeyVerdict.Expired;
        caller = new Caller(record.Id, record.Name, record.Scope, record.Limits ?? KeyLimits.None);
        return KeyVerdict.Valid;
    }

    /// <summary>A part of all keys as of the last read, the oldest first.</summary>
    /// <param name="after">The last key of the part before; null: from the first one.</param>
    /// <param name="limit">Keys in this part.</param>
    public IReadOnlyList<KeyRecord> List(KeyCursor? after, int limit) =>
        [.. keys.Values.Where(k => after is not { } last || last.IsBefore(k)).OrderBy(k => k.CreatedAt).ThenBy(k => k.Id, StringComparer.Ordinal).Take(limit)];

    /// <summary>How many keys are valid, by scope: <c>admin</c> or <c>invoke</c>.</summary>
    public IReadOnlyList<(string Scope, long Count)> CountByScope(DateTimeOffset now)
    {
        var valid = keys.Values.Where(k => !(k.ExpiresAt <= now)).ToList();
        var admins = valid.Count(k => k.Scope.Admin);
        return [("admin", admins), ("invoke", valid.Count - admins)];
    }

    protected override async Task ReadAsync(CancellationToken ct)
    {
        var asked = time.GetTimestamp();
        var changes = await store.ReadAsync(held?.Version, ct);
        if (changes.All)
        {
            var ids = changes.Keys.Select(k => k.Id).ToHashSet();
            foreach (var id in keys.Keys.Where(id => !ids.Contains(id))) keys.TryRemove(id, out _);
        }

        foreach (var (id, record) in changes.Keys)
        {
            if (record is null) keys.TryRemove(id, out _);
            else keys[id] = record;
        }

        held = new Held(changes.Version, asked);
    }

    private sealed record Held(string Version, long ReadAt);
}

/// <summary>What a key turned out to be.</summary>
public enum KeyVerdict
{
    Valid,

    /// <summary>No key was sent.</summary>
    Missing,

    /// <summary>It cannot be a key of ours: mistyped, cut, or of something else.</summary>
    Malformed,

    /// <summary>Never made, or revoked.</summary>
    Unknown,

    Expired,

    /// <summary>Redis could not be asked for too long.</summary>
    CannotCheck,
}

/// <summary>Who sent a request.</summary>
public sealed record Caller(string KeyId, string Name, KeyScope Scope, KeyLimits Limits);
