using StackExchange.Redis;

namespace Sluice.Storage.Redis;

/// <summary>Provides the shared connection to Redis.</summary>
/// <param name="connection">The connection.</param>
/// <param name="diskIsFull">Returns whether the disk of the embedded Redis is full; null for an external Redis.</param>
/// <param name="replicated">Runs the scripts whose writes replicas confirm; null: no write is confirmed.</param>
public sealed class RedisStore(
    IConnectionMultiplexer connection, Func<bool>? diskIsFull = null, ReplicatedWrites? replicated = null)
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
    /// Registers a callback for restored connections and for another primary. The server may be a different one, or may
    /// have lost its last writes.
    /// </summary>
    public void OnReconnected(Action callback)
    {
        connection.ConnectionRestored += (_, _) => callback();
        // A replica is connected before it becomes the primary, so a failover restores no connection.
        connection.ConfigurationChanged += (_, _) => callback();
    }

    /// <summary>
    /// Runs a script whose writes are acknowledged to clients: it returns when the replicas that the gateway requires
    /// have them.
    /// </summary>
    /// <exception cref="NotReplicatedException">See <see cref="ReplicatedWrites.RunAsync"/>.</exception>
    public Task<RedisResult> RunAcknowledgedAsync(Script script, RedisKey[] keys, RedisValue[] args) =>
        replicated?.RunAsync(script, keys, args) ?? script.RunAsync(Database, keys, args);

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
