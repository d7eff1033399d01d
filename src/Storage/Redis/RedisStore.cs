using StackExchange.Redis;

namespace Sluice.Storage.Redis;

/// <summary>Provides the shared connection to Redis.</summary>
/// <param name="connection">The connection.</param>
/// <param name="diskIsFull">Returns whether the disk of the embedded Redis is full; null for an external Redis.</param>
/// <param name="replicated">Runs the scripts whose writes replicas confirm; null: no write is confirmed.</param>
public sealed class RedisStore(
    RedisConnection connection, Func<bool>? diskIsFull = null, ReplicatedWrites? replicated = null)
{
    /// <summary>Uses a connection that is never replaced. The caller closes it.</summary>
    /// <inheritdoc cref="RedisStore"/>
    public RedisStore(
        IConnectionMultiplexer connection, Func<bool>? diskIsFull = null, ReplicatedWrites? replicated = null)
        : this(new RedisConnection(connection, TimeProvider.System), diskIsFull, replicated)
    {
    }

    /// <summary>The version of the data in this Redis.</summary>
    public ActiveSchema Schema { get; init; } = new();

    /// <summary>
    /// Throws <see cref="RedisDiskFullException"/> if the disk is full. Call it before a write that will be
    /// acknowledged.
    /// </summary>
    public void RequireDisk()
    {
        if (diskIsFull?.Invoke() == true) throw new RedisDiskFullException();
    }

    public IDatabase Database => connection.Current.GetDatabase();

    public IConnectionMultiplexer Connection => connection.Current;

    /// <inheritdoc cref="RedisConnection.OnChanged"/>
    public void OnReconnected(Action callback) => connection.OnChanged(callback);

    /// <summary>
    /// Runs a script whose writes are acknowledged to clients: it returns when the replicas that the gateway requires
    /// have them.
    /// </summary>
    /// <exception cref="NotReplicatedException">See <see cref="ReplicatedWrites.RunAsync"/>.</exception>
    public Task<RedisResult> RunAcknowledgedAsync(Script script, RedisKey[] keys, RedisValue[] args) =>
        replicated?.RunAsync(script, keys, args) ?? script.RunAsync(Database, keys, args);

    /// <summary>Sends a message to all subscribers of a channel.</summary>
    public Task PublishAsync(string channel, string message) =>
        connection.Current.GetSubscriber().PublishAsync(RedisChannel.Literal(channel), message);

    /// <inheritdoc cref="RedisConnection.SubscribeAsync(string, Action{string}, CancellationToken)"/>
    public Task SubscribeAsync(string channel, Action<string> handle, CancellationToken ct) =>
        connection.SubscribeAsync(channel, handle, ct);
}
