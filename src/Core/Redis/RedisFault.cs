using StackExchange.Redis;

namespace Sluice.Core.Redis;

/// <summary>Why Redis did not do what a command asked for.</summary>
public enum RedisFault
{
    /// <summary>The exception does not come from Redis or from the connection to it.</summary>
    None,

    /// <summary>No answer: the outcome of a write is unknown.</summary>
    Unreachable,

    /// <summary>Redis is at its <c>maxmemory</c>.</summary>
    OutOfMemory,

    /// <summary>Redis is a replica that accepts no writes.</summary>
    ReadOnly,

    /// <summary>Redis reads its data after a start, or waits for its primary.</summary>
    Loading,

    /// <summary>A script runs for too long.</summary>
    Busy,

    /// <summary>A part of the cluster, or a replica that <c>min-replicas-to-write</c> requires, is missing.</summary>
    Incomplete,

    /// <summary>The user of the gateway may not run the command, or may not use the key or channel.</summary>
    NoPermission,

    /// <summary>Redis cannot write its log or snapshot: the disk is full or broken.</summary>
    DiskFull,

    /// <summary>A key has another type than the command needs. It does not pass by itself.</summary>
    WrongData,

    /// <summary>Any other error reply: a script or a command does not fit its arguments or data.</summary>
    Rejected,
}

/// <summary>The one place that reads the error texts of Redis and of its client.</summary>
public static class RedisFaults
{
    /// <summary>
    /// How the error replies of Redis 7 begin (redis/src/server.c <c>createSharedObjects</c>, redis/src/acl.c). Inside a script the errors of the ACL
    /// have the code ERR and other words (redis/src/script.c <c>scriptVerifyACL</c>).
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

    /// <summary>The fault that an exception of the client means; an error reply that the table does not have is <see cref="RedisFault.Rejected"/>.</summary>
    public static RedisFault Of(Exception e) => e switch
    {
        RedisServerException s => Reply(s.Message),
        RedisDiskFullException => RedisFault.DiskFull,
        RedisConnectionException { Message: var text } when text.Contains("not eligible for replica", StringComparison.Ordinal) => RedisFault.ReadOnly,
        RedisCommandException { Message: var text } when text.Contains("replica", StringComparison.Ordinal) => RedisFault.ReadOnly,
        RedisConnectionException or TimeoutException or ObjectDisposedException or TaskCanceledException => RedisFault.Unreachable,
        _ => RedisFault.None,
    };

    /// <summary>One sentence that a client of any key may read: it names no key, address or user.</summary>
    public static string Sentence(this RedisFault fault) => fault switch
    {
        RedisFault.OutOfMemory => "Redis is out of memory (maxmemory) and refuses new data",
        RedisFault.ReadOnly => "Redis is a read-only replica and refuses writes",
        RedisFault.Loading => "Redis is loading its data",
        RedisFault.Busy => "Redis is busy with a long script",
        RedisFault.Incomplete => "a part of the Redis cluster is missing",
        RedisFault.NoPermission => "Redis refuses a command of the gateway's user (ACL)",
        RedisFault.DiskFull => "Redis cannot write to its disk, which is full or broken",
        RedisFault.WrongData => "a key in Redis has an unexpected type; the gateway's log has the command",
        RedisFault.Rejected => "Redis rejected a command; the gateway's log has the reason",
        _ => "Redis is unreachable",
    };

    private static RedisFault Reply(string message)
    {
        foreach (var (begins, fault) in Replies)
            if (message.StartsWith(begins, StringComparison.Ordinal)) return fault;
        return RedisFault.Rejected;
    }
}
