using System.Collections.Frozen;
using System.Security.Cryptography;
using Sluice.Core.Redis;

namespace Sluice.Gateway.Auth;

/// <summary>
/// All valid keys in memory, replaced whole: a message renews it at once, a poll every second is the net under lost
/// messages, so that a revoked key is refused everywhere within 2 s. While Redis cannot be asked the last state is
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
        var known = ring.Keys.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(id, out var record);
        // The same work for an unknown id.
        if (!CryptographicOperations.FixedTimeEquals(hash, record?.Hash ?? Dummy) || !known) return KeyVerdict.Unknown;
        if (record!.ExpiresAt <= now) return KeyVerdict.Expired;
        caller = new Caller(record.Id, record.Name, record.Scope, record.Limits ?? KeyLimits.None);
        return KeyVerdict.Valid;
    }

    protected override async Task ReadAsync(CancellationToken ct)
    {
        var asked = time.GetTimestamp();
        var version = await store.VersionAsync(ct);
        held = held is { } same && same.Version == version ? same with { ReadAt = asked }
            : new Held((await store.ListAsync(ct)).ToFrozenDictionary(k => k.Id), version, asked);
    }

    private sealed record Held(FrozenDictionary<string, KeyRecord> Keys, string Version, long ReadAt);
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
