using StackExchange.Redis;

namespace Sluice.Storage.Redis;

/// <summary>
/// Runs scripts whose writes are confirmed by replicas of Redis before the call returns (<c>WAIT</c>).
/// </summary>
/// <remarks>
/// <c>WAIT</c> blocks its connection, so these scripts have a separate connection. It counts only the writes of that
/// connection: on a new connection, or at another server, it confirms immediately. So the result is used only if the
/// server and its socket were the same before and after both commands.
/// </remarks>
/// <param name="connection">The separate connection. The caller disposes it.</param>
/// <param name="replicas">The number of replicas that confirm each write, 1 or more.</param>
public sealed class ReplicatedWrites(RedisConnection connection, int replicas)
{
    /// <summary>
    /// How long a write waits for the replicas. It is shorter than the time in which a submission is retried.
    /// </summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);

    /// <summary>Runs a script and waits until the replicas have its writes, and all writes before it.</summary>
    /// <exception cref="NotReplicatedException">Too few replicas confirmed the write in time, or the server changed.
    /// The outcome of the write is unknown.</exception>
    public async Task<RedisResult> RunAsync(Script script, RedisKey[] keys, RedisValue[] args)
    {
        var used = connection.Current;
        var db = used.GetDatabase();
        var before = ReadSocket(used, keys[0]);
        var reply = await script.RunAsync(db, keys, args);
        var confirmed = await WaitAsync(db);
        if (confirmed < replicas)
            throw new NotReplicatedException($"{confirmed} of {replicas} replicas of Redis confirmed the write");
        return before is not null && before == ReadSocket(used, keys[0]) ? reply
            : throw new NotReplicatedException("The connection to Redis changed before replicas confirmed the write");
    }

    private async Task<long> WaitAsync(IDatabase db)
    {
        try
        {
            return (long)await db.ExecuteAsync(
                "WAIT", [replicas, (long)Patience.TotalMilliseconds], CommandFlags.DemandMaster);
        }
        catch (RedisServerException e)
        {
            // For example: the server became a replica. The script before it has run, so this is not a rejection.
            throw new NotReplicatedException($"Redis rejected WAIT: {e.Message}", e);
        }
    }

    /// <summary>
    /// Returns the server of a key and the number of its connections so far; null: none is connected.
    /// </summary>
    private static string? ReadSocket(IConnectionMultiplexer connection, RedisKey key)
    {
        try
        {
            var server = connection.GetServer(key);
            return $"{server.EndPoint} {server.GetCounters().Interactive.SocketCount}";
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }
}
