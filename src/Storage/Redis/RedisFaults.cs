using StackExchange.Redis;

namespace Sluice.Storage.Redis;

/// <summary>Classifies the error texts of Redis and of its client. No other code reads these texts.</summary>
public static class RedisFaults
{
    /// <summary>
    /// The beginnings of the error replies of Redis 7 (redis/src/server.c <c>createSharedObjects</c>, redis/src/acl.c).
    /// Inside a script, ACL errors have the code ERR and a different text (redis/src/script.c <c>scriptVerifyACL</c>).
    /// </summary>
    private static readonly (string Begins, RedisFault Fault)[] Replies =
    [
        ("OOM", RedisFault.OutOfMemory),
        ("READONLY", RedisFault.ReadOnly),
        ("LOADING", RedisFault.Loading),
        ("MASTERDOWN", RedisFault.Loading),
        ("BUSY", RedisFault.Busy),
        ("CLUSTERDOWN", RedisFault.Incomplete),
        ("TRYAGAIN", RedisFault.Incomplete),
        ("NOREPLICAS", RedisFault.Incomplete),
        ("NOPERM", RedisFault.NoPermission),
        ("NOAUTH", RedisFault.NoPermission),
        ("WRONGPASS", RedisFault.NoPermission),
        ("ERR The user executing the script can't", RedisFault.NoPermission),
        ("MISCONF", RedisFault.DiskFull),
        ("WRONGTYPE", RedisFault.WrongData),
    ];

    /// <summary>
    /// Returns the fault of a client exception; an error reply that is not in the table is
    /// <see cref="RedisFault.Rejected"/>.
    /// </summary>
    public static RedisFault Classify(Exception e) => e switch
    {
        RedisServerException s => Reply(s.Message),
        RedisDiskFullException => RedisFault.DiskFull,
        NotReplicatedException => RedisFault.NotReplicated,
        RedisConnectionException { Message: var text }
            when text.Contains("not eligible for replica", StringComparison.Ordinal) => RedisFault.ReadOnly,
        RedisCommandException { Message: var text }
            when text.Contains("replica", StringComparison.Ordinal) => RedisFault.ReadOnly,
        RedisConnectionException or TimeoutException or ObjectDisposedException or TaskCanceledException =>
            RedisFault.Unreachable,
        _ => RedisFault.None,
    };

    /// <summary>Returns one sentence that any client may see: it contains no key, address or user.</summary>
    public static string Sentence(this RedisFault fault) => fault switch
    {
        RedisFault.OutOfMemory => "Redis is out of memory (maxmemory) and rejects new data.",
        RedisFault.ReadOnly => "Redis is a read-only replica and rejects writes.",
        RedisFault.Loading => "Redis is loading its data.",
        RedisFault.Busy => "Redis is busy with a long script.",
        RedisFault.Incomplete => "A part of the Redis cluster is unavailable.",
        RedisFault.NotReplicated => "Too few replicas of Redis confirmed the write (SLUICE_REDIS_WAIT_REPLICAS).",
        RedisFault.NoPermission => "Redis denies a command to the gateway's user (ACL).",
        RedisFault.DiskFull => "Redis cannot write to its disk, which is full or defective.",
        RedisFault.WrongData => "A key in Redis has an unexpected type. The gateway log contains the command.",
        RedisFault.Rejected => "Redis rejected a command. The gateway log contains the reason.",
        _ => "Redis is unreachable.",
    };

    private static RedisFault Reply(string message)
    {
        foreach (var (begins, fault) in Replies)
            if (message.StartsWith(begins, StringComparison.Ordinal)) return fault;
        return RedisFault.Rejected;
    }
}
