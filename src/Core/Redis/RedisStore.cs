using StackExchange.Redis;

namespace Sluice.Core.Redis;

/// <summary>The one connection to Redis that everything shares.</summary>
/// <param name="connection">The connection.</param>
/// <param name="diskIsFull">Whether the disk of the embedded Redis is full; null: it is not known, because Redis is not ours.</param>
public sealed class RedisStore(IConnectionMultiplexer connection, Func<bool>? diskIsFull = null)
{
    /// <summary>To be called before something is stored that will be acknowledged. Throws <see cref="RedisDiskFullException"/>.</summary>
    public void RequireDisk()
    {
        if (diskIsFull?.Invoke() == true) throw new RedisDiskFullException();
    }

    public IDatabase Database => connection.GetDatabase();

    public ISubscriber Subscriber => connection.GetSubscriber();

    public IConnectionMultiplexer Connection => connection;

    /// <summary>Calls back after each lost connection that was made again: the server may be another one, or one that lost its last writes.</summary>
    public void OnReconnected(Action callback) => connection.ConnectionRestored += (_, _) => callback();

    /// <summary>Calls <paramref name="handle"/> with each message of a channel. Throws when Redis refuses it; nothing is called then.</summary>
    public async Task SubscribeAsync(string channel, Action<string> handle, CancellationToken ct)
    {
        var subscriber = Subscriber;
        void OnMessage(RedisChannel from, RedisValue message) => handle(message!);
        try
        {
            await subscriber.SubscribeAsync(channel, OnMessage).WaitAsync(ct);
        }
        catch
        {
            // The client keeps a handler that Redis refused: the next try would add a second one.
            await subscriber.UnsubscribeAsync(channel, OnMessage, CommandFlags.FireAndForget);
            throw;
        }
    }
}
