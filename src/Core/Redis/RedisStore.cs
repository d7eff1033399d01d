using StackExchange.Redis;

namespace Sluice.Core.Redis;

/// <summary>The one connection to Redis that everything shares.</summary>
public sealed class RedisStore(IConnectionMultiplexer connection)
{
    public IDatabase Database => connection.GetDatabase();

    public ISubscriber Subscriber => connection.GetSubscriber();

    public IConnectionMultiplexer Connection => connection;
}
