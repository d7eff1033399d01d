using System.Text.Json;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Keys;

/// <summary>Stores API keys in Redis, shared by all gateways.</summary>
public sealed class KeyStore(RedisStore redis)
{
    /// <summary>The pub/sub channel for key changes.</summary>
    public const string Channel = "sluice:keys";

    /// <summary>
    /// The length of the change list in Redis, 43 bytes per change. A gateway that missed more reads all keys.
    /// </summary>
    private const int KeptChanges = 1000;

    /// <summary>The changes that one read returns. A gateway usually missed only one.</summary>
    private const int ChangesPage = 32;

    /// <summary>A value that no version has.</summary>
    private const string NoVersion = "-";

    private static readonly Script WriteLua = Script.Load("key-write");
    private static readonly Script UsedLua = Script.Load("key-used");
    private static readonly Script ReadLua = Script.Load("key-read");

    // All keys have one hash tag, because the API keys, their version and the change list are written together.
    private static readonly RedisKey Keys = "sluice:{keys}:all";
    private static readonly RedisKey Version = "sluice:{keys}:version";
    private static readonly RedisKey Changes = "sluice:{keys}:changes";
    private static readonly RedisKey Used = "sluice:{keys}:used";
    private static readonly RedisKey FirstAdmin = "sluice:{keys}:first";

    /// <summary>Reads the keys that changed since a version, atomically.</summary>
    /// <param name="since">The version of an earlier read; null reads all keys.</param>
    /// <param name="ct">Cancels the wait.</param>
    public async Task<KeyChanges> ReadAsync(string? since, CancellationToken ct)
    {
        var reply = await ReadLua
            .RunAsync(redis.Database, [Keys, Version, Changes], [since ?? NoVersion, ChangesPage])
            .WaitAsync(ct);
        var answer = (RedisResult[])reply!;
        var (version, kind) = ((string)answer[0]!, (string)answer[1]!);
        if (kind == "same") return new KeyChanges(version, false, []);
        var changed = ((string[])answer[2]!).Chunk(2).Select(pair => (pair[0], Deserialize(pair[1]))).ToList();
        return new KeyChanges(version, kind == "all", changed);
    }

    /// <summary>Returns one key, or null if it does not exist.</summary>
    public async Task<ApiKey?> FindAsync(string id, CancellationToken ct) => (await FindStoredAsync(id, ct))?.Key;

    /// <summary>Returns one key with its stored text, or null if it does not exist.</summary>
    public async Task<StoredKey?> FindStoredAsync(string id, CancellationToken ct)
    {
        var json = await redis.Database.HashGetAsync(Keys, id).WaitAsync(ct);
        return Deserialize((string?)json ?? "") is { } key ? new StoredKey(key, json) : null;
    }

    /// <summary>Stores a new key.</summary>
    public Task AddAsync(ApiKey key, CancellationToken ct) =>
        WriteAsync(key.Id, JsonSerializer.Serialize(key, KeyJson.Default.ApiKey), "", [], ct);

    /// <summary>Replaces the record of a key if it has not changed since it was read.</summary>
    /// <param name="before">The key as it was read.</param>
    /// <param name="after">The key with its changes.</param>
    /// <param name="ct">Cancels the wait.</param>
    public Task<KeyWrite> ReplaceAsync(StoredKey before, ApiKey after, CancellationToken ct) => WriteAsync(
        before.Key.Id, JsonSerializer.Serialize(after, KeyJson.Default.ApiKey), before.Json, [], ct);

    /// <summary>Deletes a key.</summary>
    /// <param name="id">The id of the key.</param>
    /// <param name="ct">Cancels the wait.</param>
    /// <param name="others">
    /// Null: delete it. Otherwise delete it only if one of these keys exists at that moment.
    /// </param>
    public Task<KeyWrite> RevokeAsync(string id, CancellationToken ct, IReadOnlyList<string>? others = null) =>
        // No key has an empty id: without others, the key is the last one.
        WriteAsync(id, "", "", others is null ? [] : [.. others.Select(o => (RedisValue)o), ""], ct);

    /// <summary>Records when keys were last used. The latest time stays; keys that do not exist are ignored.</summary>
    public Task RecordUseAsync(IEnumerable<(string Id, long UnixSeconds)> uses, CancellationToken ct) =>
        UsedLua.RunAsync(redis.Database, [Keys, Used],
            [.. uses.SelectMany(u => new RedisValue[] { u.Id, u.UnixSeconds })]).WaitAsync(ct);

    /// <summary>Returns when keys were last used, in the order of the ids; null: never, or not recorded yet.</summary>
    public async Task<IReadOnlyList<DateTimeOffset?>> LastUsesAsync(
        IReadOnlyList<string> ids, CancellationToken ct)
    {
        if (ids.Count == 0) return [];
        var times = await redis.Database.HashGetAsync(Used, [.. ids.Select(id => (RedisValue)id)]).WaitAsync(ct);
        return [.. times.Select(
            t => t.IsNull ? (DateTimeOffset?)null : DateTimeOffset.FromUnixTimeSeconds((long)t))];
    }

    /// <summary>
    /// Returns true exactly once, over all gateways and restarts: the caller then creates the first admin key.
    /// </summary>
    public async Task<bool> ClaimFirstAdminAsync(CancellationToken ct) =>
        !(await ReservedWrite.RunAsync(redis.Database, FirstAdmin, "SET", "made", "NX").WaitAsync(ct)).IsNull;

    /// <summary>
    /// Writes or deletes a record. The version is random, not a counter: a Redis that lost its last second of writes
    /// would assign the same number twice.
    /// </summary>
    private async Task<KeyWrite> WriteAsync(
        string id, string record, RedisValue before, RedisValue[] others, CancellationToken ct) =>
        (int)await WriteLua
            .RunAsync(
                redis.Database,
                [Keys, Version, Changes, Used],
                [id, record, Guid.NewGuid().ToString("N"), KeptChanges, before, .. others])
            .WaitAsync(ct) switch
        {
            1 => KeyWrite.Written,
            0 => KeyWrite.NoSuchKey,
            -1 => KeyWrite.LastKey,
            _ => KeyWrite.Changed,
        };

    /// <summary>
    /// Returns null if the key was deleted or its record cannot be read. An unreadable record authenticates no caller.
    /// </summary>
    private static ApiKey? Deserialize(string json)
    {
        try
        {
            return json.Length == 0 ? null : JsonSerializer.Deserialize(json, KeyJson.Default.ApiKey);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
