using StackExchange.Redis;

namespace Sluice.Storage.Redis;

/// <summary>
/// The connection to Redis that the gateway uses. It can be replaced by a connection to another server; subscriptions
/// continue there.
/// </summary>
public sealed class RedisConnection : IAsyncDisposable
{
    /// <summary>
    /// How long a replaced connection stays open. The client gives each command 5 s, so those that were begun on it
    /// have ended by then.
    /// </summary>
    private static readonly TimeSpan KeepReplaced = TimeSpan.FromSeconds(10);

    private readonly CancellationTokenSource closed = new();
    private readonly Lock gate = new();
    private readonly List<(RedisChannel Channel, Action<RedisChannel, RedisValue> Handle)> subscriptions = [];
    private readonly TimeProvider time;
    private volatile IConnectionMultiplexer current;
    private Action changed = () => { };
    private long earlierOperations;

    /// <summary>Takes the first connection, and closes it when this object is disposed.</summary>
    public RedisConnection(IConnectionMultiplexer first, TimeProvider time)
    {
        (current, this.time) = (first, time);
        Watch(first);
    }

    /// <summary>The connection in use. Do not keep it: a later call can return another one.</summary>
    public IConnectionMultiplexer Current => current;

    /// <summary>Canceled when the connection is closed.</summary>
    public CancellationToken Closed => closed.Token;

    /// <summary>The number of commands that were sent so far, on all connections.</summary>
    public long OperationCount
    {
        get
        {
            lock (gate) return earlierOperations + current.OperationCount;
        }
    }

    /// <summary>
    /// Registers a callback for a restored connection, another role of a server, and another server. The server may
    /// have lost its last writes.
    /// </summary>
    public void OnChanged(Action callback)
    {
        lock (gate) changed += callback;
    }

    /// <summary>
    /// Subscribes <paramref name="handle"/> to a channel. Throws if Redis rejects the subscription; the handler is not
    /// registered then.
    /// </summary>
    public async Task SubscribeAsync(string channel, Action<string> handle, CancellationToken ct)
    {
        void OnMessage(RedisChannel from, RedisValue message) => handle(message!);
        var subscription = (RedisChannel.Literal(channel), (Action<RedisChannel, RedisValue>)OnMessage);
        IConnectionMultiplexer used;
        lock (gate)
        {
            subscriptions.Add(subscription);
            used = current;
        }

        try
        {
            await SubscribeAsync(used, subscription).WaitAsync(ct);
        }
        catch
        {
            await ForgetAsync(used, subscription);
            throw;
        }
    }

    /// <summary>
    /// Uses another connection from now on, and moves the subscriptions to it. Then the callbacks run, because messages
    /// may have been lost. This object disposes the connection.
    /// </summary>
    public async Task ReplaceAsync(IConnectionMultiplexer next)
    {
        IConnectionMultiplexer replaced;
        (RedisChannel, Action<RedisChannel, RedisValue>)[] moved;
        lock (gate)
        {
            (replaced, current) = (current, next);
            earlierOperations += replaced.OperationCount;
            moved = [.. subscriptions];
        }

        Watch(next);
        foreach (var subscription in moved)
        {
            try
            {
                await SubscribeAsync(next, subscription);
            }
            catch (Exception e) when (RedisErrors.Is(e))
            {
                // The client keeps the subscription, and makes it when it is connected.
            }
        }

        Changed();
        _ = DisposeLaterAsync(replaced);
    }

    /// <summary>Closes the connection without waiting for pending commands.</summary>
    public async Task CloseAsync()
    {
        await closed.CancelAsync();
        await current.CloseAsync(allowCommandsToComplete: false);
    }

    public async ValueTask DisposeAsync()
    {
        await CloseAsync();
        await current.DisposeAsync();
        closed.Dispose();
    }

    private static Task SubscribeAsync(
        IConnectionMultiplexer on, (RedisChannel Channel, Action<RedisChannel, RedisValue> Handle) subscription) =>
        on.GetSubscriber().SubscribeAsync(subscription.Channel, subscription.Handle);

    /// <summary>
    /// Removes a subscription that was rejected. The client keeps its handler: without this call, a retry would
    /// register a second one.
    /// </summary>
    private async Task ForgetAsync(
        IConnectionMultiplexer used, (RedisChannel Channel, Action<RedisChannel, RedisValue> Handle) subscription)
    {
        IConnectionMultiplexer now;
        lock (gate)
        {
            subscriptions.Remove(subscription);
            now = current;
        }

        foreach (var connection in new[] { used, now }.Distinct())
            await connection.GetSubscriber()
                .UnsubscribeAsync(subscription.Channel, subscription.Handle, CommandFlags.FireAndForget);
    }

    private void Watch(IConnectionMultiplexer connection)
    {
        connection.ConnectionRestored += (_, _) => ChangedOn(connection);
        // A replica is connected before it becomes the primary, so a failover restores no connection.
        connection.ConfigurationChanged += (_, _) => ChangedOn(connection);
    }

    private void ChangedOn(IConnectionMultiplexer connection)
    {
        if (connection == current) Changed();
    }

    private void Changed()
    {
        Action callbacks;
        lock (gate) callbacks = changed;
        callbacks();
    }

    private async Task DisposeLaterAsync(IConnectionMultiplexer replaced)
    {
        try
        {
            await Task.Delay(KeepReplaced, time, closed.Token);
        }
        catch (OperationCanceledException)
        {
            // The process ends.
        }

        await replaced.CloseAsync(allowCommandsToComplete: false);
        await replaced.DisposeAsync();
    }
}
