namespace Sluice.Storage.Redis;

/// <summary>Why a Redis command failed.</summary>
public enum RedisFault
{
    /// <summary>The error does not come from Redis or from the connection to it.</summary>
    None,

    /// <summary>There was no reply. The outcome of a write is unknown.</summary>
    Unreachable,

    /// <summary>Redis is at its <c>maxmemory</c>.</summary>
    OutOfMemory,

    /// <summary>Redis is a replica that accepts no writes.</summary>
    ReadOnly,

    /// <summary>Redis is loading its data after a start, or is waiting for its primary.</summary>
    Loading,

    /// <summary>A script exceeds the time limit of Redis.</summary>
    Busy,

    /// <summary>A part of the cluster, or a replica that <c>min-replicas-to-write</c> requires, is missing.</summary>
    Incomplete,

    /// <summary>Too few replicas confirmed a write. Its outcome is unknown.</summary>
    NotReplicated,

    /// <summary>
    /// The ACL does not allow the user of the gateway to run the command, or to access the key or channel.
    /// </summary>
    NoPermission,

    /// <summary>Redis cannot write its log or snapshot: the disk is full or broken.</summary>
    DiskFull,

    /// <summary>A key has a different type than the command requires. Retries do not help.</summary>
    WrongData,

    /// <summary>Any other error reply: a script or a command does not match its arguments or data.</summary>
    Rejected,
}
