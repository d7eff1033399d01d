using System.Text.Json;
using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Gateway.Auth;

/// <summary>API keys in Redis, for every gateway.</summary>
public sealed class KeyStore(RedisStore redis)
{
    /// <summary>Pub/sub channel: the keys changed.</summary>
    public const string Channel = "sluice:keys";

    private static readonly RedisKey Keys = "sluice:{keys}:all";
    private static readonly RedisKey FirstAdmin = "sluice:{keys}:first";

    public async Task<IReadOnlyList<KeyRecord>> ListAsync(CancellationToken ct) =>
        [.. (await redis.Database.HashGetAllAsync(Keys).WaitAsync(ct))
            .Select(k => JsonSerializer.Deserialize((string)k.Value!, KeyJson.Default.KeyRecord)!)
            .OrderBy(k => k.CreatedAt)];

    public async Task AddAsync(KeyRecord key, CancellationToken ct)
    {
        await redis.Database.HashSetAsync(Keys, key.Id, JsonSerializer.Serialize(key, KeyJson.Default.KeyRecord)).WaitAsync(ct);
        await redis.Subscriber.PublishAsync(Channel, key.Id).WaitAsync(ct);
    }

    /// <summary>False when there was no such key.</summary>
    public async Task<bool> RevokeAsync(string id, CancellationToken ct)
    {
        var was = await redis.Database.HashDeleteAsync(Keys, id).WaitAsync(ct);
        await redis.Subscriber.PublishAsync(Channel, id).WaitAsync(ct);
        return was;
    }

    /// <summary>True for the one caller, over all gateways and starts, that may make the first admin key.</summary>
    public Task<bool> ClaimFirstAdminAsync(CancellationToken ct) =>
        redis.Database.StringSetAsync(FirstAdmin, "made", when: When.NotExists).WaitAsync(ct);
}
