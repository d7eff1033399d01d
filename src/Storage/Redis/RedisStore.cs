using StackExchange.Redis;

namespace Sluice.Storage.Redis;

/// <summary>Provides the shared connection to Redis.</summary>
/// <param name="connection">The connection.</param>
/// <param name="diskIsFull">Returns whether the disk of the embedded Redis is full; null for an external Redis.</param>
public sealed class RedisStore(IConnectionMultiplexer connection, Func<bool>? diskIsFull = null)
{
    /// <summary>
    /// Throws <see cref="RedisDiskFullException"/> if the disk is full. Call it before a write that will be
    /// acknowledged.
    /// </summary>
    public void RequireDisk()
    {
        if (diskIsFull?.Invoke() == true) throw new RedisDiskFullException();
    }

    public IDatabase Database => connection.GetDatabase();

    public IConnectionMultiplexer Connection => connection;

    /// <summary>
    /// Registers a callback for restored connections. After a reconnect, the server may be a different one, or may have
    /// lost its last writes.
    /// </summary>
    public void OnReconnected(Action callback) => connection.ConnectionRestored += (_, _) => callback();

    /// <summary>Sends a message to all subscribers of a channel.</summary>
    public Task PublishAsync(string channel, string message) =>
        connection.GetSubscriber().PublishAsync(RedisChannel.Literal(channel), message);

    /// <summary>
    /// Subscribes <paramref name="handle"/> to a channel. Throws if Redis rejects the subscription; the handler is not
    /// registered then.
    /// </summary>
    public async Task SubscribeAsync(string channel, Action<string> handle, CancellationToken ct)
    {
        var (subscriber, literal) = (connection.GetSubscriber(), RedisChannel.Literal(channel));
        void OnMessage(RedisChannel from, RedisValue message) => handle(message!);
        try
        {
            await subscriber.SubscribeAsync(literal, OnMessage).WaitAsync(ct);
        }
        catch
        {
            // The client keeps a handler that Redis rejected: without this call, a retry would register a second one.
            await subscriber.UnsubscribeAsync(literal, OnMessage, CommandFlags.FireAndForget);
            throw;
        }
    }
}
