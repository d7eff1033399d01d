using System.Text.Json;
using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Gateway.Auth;

/// <summary>API keys in Redis, for every gateway.</summary>
public sealed class KeyStore(RedisStore redis)
{
    /// <summary>Pub/sub channel: the keys changed.</summary>
    public const string Channel = "sluice:keys";

    /// <summary>Changes that Redis lists, 43 bytes each. A gateway that missed more reads all keys.</summary>
    private const int KeptChanges = 1000;

    /// <summary>Changes that one read of the list returns: a gateway usually missed one.</summary>
    private const int ChangesPage = 32;

    /// <summary>No version is this.</summary>
    private const string NoVersion = "-";

    private static readonly Script WriteLua = Script.Load("key-write");
    private static readonly Script ReadLua = Script.Load("key-read");

    // One hash tag: the keys, their version and the list of changes are written together.
    private static readonly RedisKey Keys = "sluice:{keys}:all";
    private static readonly RedisKey Version = "sluice:{keys}:version";
    private static readonly RedisKey Changes = "sluice:{keys}:changes";
    private static readonly RedisKey FirstAdmin = "sluice:{keys}:first";

    /// <summary>Reads the keys that changed since a version, in one step.</summary>
    /// <param name="since">The version of an earlier read; null: reads all keys.</param>
    /// <param name="ct">Stops waiting.</param>
    public async Task<KeyChanges> ReadAsync(string? since, CancellationToken ct)
    {
        var answer = (RedisResult[])(await ReadLua.RunAsync(redis.Database, [Keys, Version, Changes], [since ?? NoVersion, ChangesPage]).WaitAsync(ct))!;
        var (version, what) = ((string)answer[0]!, (string)answer[1]!);
        if (what == "same") return new KeyChanges(version, false, []);
        var changed = ((string[])answer[2]!).Chunk(2).Select(pair => (pair[0], Read(pair[1]))).ToList();
        return new KeyChanges(version, what == "all", changed);
    }

    /// <summary>One key; null: there is none of this id.</summary>
    public async Task<KeyRecord?> FindAsync(string id, CancellationToken ct) =>
        Read((string?)await redis.Database.HashGetAsync(Keys, id).WaitAsync(ct) ?? "");

    public Task AddAsync(KeyRecord key, CancellationToken ct) =>
        WriteAsync(key.Id, JsonSerializer.Serialize(key, KeyJson.Default.KeyRecord), ct);

    /// <summary>False when there was no such key.</summary>
    public Task<bool> RevokeAsync(string id, CancellationToken ct) => WriteAsync(id, "", ct);

    /// <summary>True for the one caller, over all gateways and starts, that may make the first admin key.</summary>
    public async Task<bool> ClaimFirstAdminAsync(CancellationToken ct) =>
        !(await ControlWrite.RunAsync(redis.Database, FirstAdmin, "SET", "made", "NX").WaitAsync(ct)).IsNull;

    /// <summary>The version is random, not counted: a Redis that lost its last second would count twice to the same number.</summary>
    private async Task<bool> WriteAsync(string id, string record, CancellationToken ct) =>
        (int)await WriteLua.RunAsync(redis.Database, [Keys, Version, Changes], [id, record, Guid.NewGuid().ToString("N"), KeptChanges]).WaitAsync(ct) == 1;

    /// <summary>Null: the key was deleted, or its record cannot be read. A record that cannot be read authenticates no caller.</summary>
    private static KeyRecord? Read(string json)
    {
        try
        {
            return json.Length == 0 ? null : JsonSerializer.Deserialize(json, KeyJson.Default.KeyRecord);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>What <see cref="KeyStore.ReadAsync"/> found.</summary>
/// <param name="Version">Of the keys, with these changes.</param>
/// <param name="All">Whether these are all keys; otherwise only those that changed.</param>
/// <param name="Keys">Ids and their records; null: the key was deleted.</param>
public sealed record KeyChanges(string Version, bool All, IReadOnlyList<(string Id, KeyRecord? Record)> Keys);
