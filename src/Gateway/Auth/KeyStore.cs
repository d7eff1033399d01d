using System.Text.Json;
using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Gateway.Auth;

/// <summary>API keys in Redis, for every gateway.</summary>
public sealed class KeyStore(RedisStore redis)
{
    /// <summary>Pub/sub channel: the keys changed.</summary>
    public const string Channel = "sluice:keys";

    // One hash tag: the keys and their version change together.
    private static readonly RedisKey Keys = "sluice:{keys}:all";
    private static readonly RedisKey Version = "sluice:{keys}:version";
    private static readonly RedisKey FirstAdmin = "sluice:{keys}:first";

    public async Task<IReadOnlyList<KeyRecord>> ListAsync(CancellationToken ct) =>
        [.. (await redis.Database.HashGetAllAsync(Keys).WaitAsync(ct))
            .Select(k => JsonSerializer.Deserialize((string)k.Value!, KeyJson.Default.KeyRecord)!)
            .OrderBy(k => k.CreatedAt)];

    /// <summary>Another one after each change. Random, not counted: a Redis that lost its last second would count twice
    /// to the same number.</summary>
    public async Task<string> VersionAsync(CancellationToken ct) => (string?)await redis.Database.StringGetAsync(Version).WaitAsync(ct) ?? "";

    public async Task AddAsync(KeyRecord key, CancellationToken ct)
    {
        var change = redis.Database.CreateTransaction();
        _ = change.HashSetAsync(Keys, key.Id, JsonSerializer.Serialize(key, KeyJson.Default.KeyRecord));
        await ExecuteAsync(change, key.Id, ct);
    }

    /// <summary>False when there was no such key.</summary>
    public async Task<bool> RevokeAsync(string id, CancellationToken ct)
    {
        var change = redis.Database.CreateTransaction();
        var was = change.HashDeleteAsync(Keys, id);
        await ExecuteAsync(change, id, ct);
        return await was;
    }

    /// <summary>True for the one caller, over all gateways and starts, that may make the first admin key.</summary>
    public Task<bool> ClaimFirstAdminAsync(CancellationToken ct) =>
        redis.Database.StringSetAsync(FirstAdmin, "made", when: When.NotExists).WaitAsync(ct);

    private async Task ExecuteAsync(ITransaction change, string id, CancellationToken ct)
    {
        _ = change.StringSetAsync(Version, Guid.NewGuid().ToString("N"));
        await change.ExecuteAsync().WaitAsync(ct);
        await redis.Subscriber.PublishAsync(Channel, id).WaitAsync(ct);
    }
}
