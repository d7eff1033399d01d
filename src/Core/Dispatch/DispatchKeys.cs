using StackExchange.Redis;

namespace Sluice.Core.Dispatch;

/// <summary>
/// The Redis keys of one endpoint's dispatch. They share the hash tag <c>{endpoint}</c>, so that one script may touch
/// them all and endpoints spread over a Redis Cluster.
/// </summary>
public sealed class DispatchKeys(string endpointId)
{
    /// <summary>Sorted set: holder -> lease expiry, unix ms.</summary>
    public RedisKey Leases { get; } = Key(endpointId, "leases");

    /// <summary>Hash: "holder|pod" -> slots held.</summary>
    public RedisKey Held { get; } = Key(endpointId, "held");

    /// <summary>Sorted set: ready pod -> free slots.</summary>
    public RedisKey Free { get; } = Key(endpointId, "free");

    /// <summary>Sorted set: ticket entry -> start tag.</summary>
    public RedisKey Queue { get; } = Key(endpointId, "queue");

    /// <summary>Hash: seq, vtime, completed, queued (jobs that wait) and other counters.</summary>
    public RedisKey Meta { get; } = Key(endpointId, "meta");

    /// <summary>Hash: flow -> finish tag.</summary>
    public RedisKey Finish { get; } = Key(endpointId, "finish");

    /// <summary>Hash: ticket entry -> "holder|pod|unix ms".</summary>
    public RedisKey Grants { get; } = Key(endpointId, "grants");

    /// <summary>Hash: holder -> most requests at once since its last report; and, if there are any, a bar and the slots in use that no job of it has.</summary>
    public RedisKey Busy { get; } = Key(endpointId, "busy");

    /// <summary>Hash: pod -> address (JSON).</summary>
    public RedisKey Workers { get; } = Key(endpointId, "workers");

    /// <summary>Hash: pod -> slots.</summary>
    public RedisKey Capacity { get; } = Key(endpointId, "capacity");

    /// <summary>String: why no worker can start (JSON).</summary>
    public RedisKey Blocked { get; } = Key(endpointId, "blocked");

    /// <summary>Hash: running job -> its run: who runs which attempt where (<c>jobstate.part.lua</c>). A job runs as long as it is here.</summary>
    public RedisKey Running { get; } = Key(endpointId, "running");

    /// <summary>Hash: flow -> queued jobs.</summary>
    public RedisKey Flows { get; } = Key(endpointId, "flows");

    /// <summary>Hash: job -> what was asked. What lies in this and the next four is told by <c>jobstate.part.lua</c>.</summary>
    public RedisKey Asked { get; } = Key(endpointId, "asked");

    /// <summary>Hash: job that began to wait again -> its past.</summary>
    public RedisKey Again { get; } = Key(endpointId, "again");

    /// <summary>Hash: waiting job -> gateways that are to be told of it.</summary>
    public RedisKey Watched { get; } = Key(endpointId, "watched");

    /// <summary>Hash: ended job -> its result.</summary>
    public RedisKey Results { get; } = Key(endpointId, "results");

    /// <summary>Hash: "job|in", "job|out" -> an input or output that is too large for the others, and not large enough for a file.</summary>
    public RedisKey Large { get; } = Key(endpointId, "large");

    /// <summary>Those of slots and of tickets of requests, without the queue and the counters.</summary>
    public RedisKey[] Slots => [Leases, Held, Free, Finish, Grants, Busy, Workers, Capacity, Blocked];

    internal static RedisKey Key(string endpointId, string part) => $"sluice:{{{endpointId}}}:{part}";
}

/// <summary>The pub/sub channels of dispatch. Messages are hints: Redis holds the truth.</summary>
public static class DispatchChannels
{
    /// <summary>To all gateways: <c>waiting|endpoint|holder</c>, <c>drain|endpoint|pod</c>,
    /// <c>down|endpoint|pod</c>, <c>blocked|endpoint|</c>, <c>free|endpoint|</c> (slots are free and tickets wait).</summary>
    public const string All = "sluice:dispatch";

    /// <summary>To one gateway: <c>endpoint\nentry\npod</c>, a grant to one of its tickets.</summary>
    public static string Grants(string gatewayId) => "sluice:grant:" + gatewayId;

    /// <summary>To one gateway: <c>changed|endpoint|job</c>, a job that it watches has ended or streamed;
    /// <c>stop|endpoint|job</c>, a job that it runs was cancelled.</summary>
    public static string Jobs(string gatewayId) => "sluice:job:" + gatewayId;
}
