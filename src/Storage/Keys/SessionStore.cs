using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Keys;

/// <summary>
/// Stores sessions of browsers in Redis, shared by all gateways, under the hash of their token, so that a reader of
/// Redis cannot use them. A session has about 250 bytes. When Redis is unavailable, methods throw the exceptions that
/// <see cref="RedisErrors"/> identifies.
/// </summary>
public sealed class SessionStore(RedisStore redis)
{
    /// <summary>Sessions of one key; a further sign-in ends the oldest one.</summary>
    public const int MaxPerKey = 20;

    // One hash tag: the script deletes the oldest sessions of a key together with their entries.
    private const string Prefix = "sluice:{sessions}:token:";

    private static readonly Script CreateLua = Script.Load("session-create");

    /// <summary>Stores a session.</summary>
    /// <param name="token">The secret of the browser.</param>
    /// <param name="session">The session.</param>
    /// <param name="ct">Cancels the wait.</param>
    public Task CreateAsync(string token, Session session, CancellationToken ct) => CreateLua.RunAsync(
        redis.Database,
        [OfKey(session.KeyId), Prefix],
        [
            IdOf(token), JsonSerializer.Serialize(session, KeyJson.Default.Session),
            (long)(session.ExpiresAt - session.CreatedAt).TotalMilliseconds,
            session.CreatedAt.ToUnixTimeMilliseconds(), MaxPerKey,
        ]).WaitAsync(ct);

    /// <summary>Returns the session of a token; null: it has ended, or never existed.</summary>
    public async Task<Session?> FindAsync(string token, CancellationToken ct)
    {
        var json = (string?)await redis.Database.StringGetAsync(Prefix + IdOf(token)).WaitAsync(ct);
        return json is null ? null : JsonSerializer.Deserialize(json, KeyJson.Default.Session);
    }

    /// <summary>Ends a session. After it returns, no gateway accepts the token.</summary>
    public async Task DeleteAsync(string token, Session session, CancellationToken ct)
    {
        var id = IdOf(token);
        var removed = redis.Database.SortedSetRemoveAsync(OfKey(session.KeyId), id);
        await redis.Database.KeyDeleteAsync(Prefix + id).WaitAsync(ct);
        await removed.WaitAsync(ct);
    }

    private static string IdOf(string token) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(token)));

    private static RedisKey OfKey(string keyId) => $"sluice:{{sessions}}:key:{keyId}";
}
