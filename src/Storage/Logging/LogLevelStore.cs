using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Logging;

/// <summary>
/// Stores the log levels that an operator has set for all gateways, as JSON, until a time or until they are deleted.
/// When Redis is unavailable, methods throw the exceptions that <see cref="RedisErrors"/> identifies.
/// </summary>
public sealed class LogLevelStore(RedisStore redis)
{
    /// <summary>Pub/sub channel. The message has no content.</summary>
    public const string Channel = "sluice:log-level";

    private static readonly RedisKey Key = "sluice:log-level";

    /// <summary>Returns the levels, and how long they are stored; null: they are not set, or have no end.</summary>
    public async Task<(string? Json, TimeSpan? Left)> ReadAsync(CancellationToken ct)
    {
        var stored = await redis.Database.StringGetWithExpiryAsync(Key).WaitAsync(ct);
        return ((string?)stored.Value, stored.Expiry);
    }

    /// <summary>Stores the levels.</summary>
    /// <param name="json">The levels.</param>
    /// <param name="life">How long; null: until they are deleted.</param>
    /// <param name="ct">Cancels the wait.</param>
    public async Task WriteAsync(string json, TimeSpan? life, CancellationToken ct)
    {
        await redis.Database.StringSetAsync(Key, json, life is { } time ? new Expiration(time) : Expiration.Default)
            .WaitAsync(ct);
        // Gateways also poll, so a lost message is no error.
        await redis.PublishAsync(Channel, "").WaitAsync(ct);
    }

    /// <summary>Deletes the levels.</summary>
    public async Task DeleteAsync(CancellationToken ct)
    {
        await redis.Database.KeyDeleteAsync(Key).WaitAsync(ct);
        // Gateways also poll, so a lost message is no error.
        await redis.PublishAsync(Channel, "").WaitAsync(ct);
    }
}
