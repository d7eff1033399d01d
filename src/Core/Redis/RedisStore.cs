using StackExchange.Redis;

namespace Sluice.Core.Redis;

/// <summary>The one connection to Redis that everything shares.</summary>
public sealed class RedisStore(IConnectionMultiplexer connection)
{
    public IDatabase Database => connection.GetDatabase();

    public ISubscriber Subscriber => connection.GetSubscriber();

    public IConnectionMultiplexer Connection => connection;

    /// <summary>Calls back after each lost connection that was made again: the server may be another one, or one that lost its last writes.</summary>
    public void OnReconnected(Action callback) => connection.ConnectionRestored += (_, _) => callback();
}
