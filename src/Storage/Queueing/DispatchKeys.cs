using Sluice.Domain.Fleet;
using StackExchange.Redis;

namespace Sluice.Storage.Queueing;

/// <summary>
/// The Redis keys of the dispatch state of one endpoint. They share the hash tag <c>{endpoint}</c>, so that one script
/// can access all of them and endpoints are distributed over a Redis Cluster.
/// </summary>
public sealed class DispatchKeys(string endpointId)
{
    /// <summary>Sorted set: holder -> lease expiry (Unix ms).</summary>
    public RedisKey Leases { get; } = Key(endpointId, "leases");

    /// <summary>Hash: "holder|pod" -> slots held.</summary>
    public RedisKey Held { get; } = Key(endpointId, "held");

    /// <summary>Sorted set: ready pod -> free slots.</summary>
    public RedisKey Free { get; } = Key(endpointId, "free");

    /// <summary>Sorted set: ticket entry -> start tag.</summary>
    public RedisKey Queue { get; } = Key(endpointId, "queue");

    /// <summary>Hash: seq, vtime, completed, queued (jobs in the queue) and other counters.</summary>
    public RedisKey Meta { get; } = Key(endpointId, "meta");

    /// <summary>Hash: flow -> finish tag.</summary>
    public RedisKey Finish { get; } = Key(endpointId, "finish");

    /// <summary>Hash: ticket entry -> "holder|pod|Unix ms".</summary>
    public RedisKey Grants { get; } = Key(endpointId, "grants");

    /// <summary>
    /// Hash: holder -> the highest number of concurrent requests since its last report; if it has leaked slots,
    /// followed by a bar and the number of slots in use that belong to no job of the holder.
    /// </summary>
    public RedisKey Busy { get; } = Key(endpointId, "busy");

    /// <summary>Hash: pod -> address (JSON).</summary>
    public RedisKey Workers { get; } = Key(endpointId, "workers");

    /// <summary>Hash: pod -> slots.</summary>
    public RedisKey Capacity { get; } = Key(endpointId, "capacity");

    /// <summary>Hash: pod -> how many tokens it can hold (<see cref="TokenCapacity.Text"/>).</summary>
    public RedisKey TokenCapacity { get; } = Key(endpointId, "token-capacity");

    /// <summary>
    /// Hash: "holder|pod" -> tokens that the requests of the holder may use at the pod, and pod -> their sum
    /// (<c>room.part.lua</c>).
    /// </summary>
    public RedisKey Tokens { get; } = Key(endpointId, "tokens");

    /// <summary>String: why no worker can start (JSON).</summary>
    public RedisKey Blocked { get; } = Key(endpointId, "blocked");

    /// <summary>
    /// Hash: running job -> its run: which holder runs which attempt on which worker (<c>jobstate.part.lua</c>). A job
    /// is running exactly while it is in this hash.
    /// </summary>
    public RedisKey Running { get; } = Key(endpointId, "running");

    /// <summary>Hash: flow -> queued jobs.</summary>
    public RedisKey Flows { get; } = Key(endpointId, "flows");

    /// <summary>
    /// Hash: job -> its submission. <c>jobstate.part.lua</c> documents the format of this hash and of the next four.
    /// </summary>
    public RedisKey Jobs { get; } = Key(endpointId, "jobs");

    /// <summary>Hash: job that was queued again -> its previous attempts.</summary>
    public RedisKey Retries { get; } = Key(endpointId, "retries");

    /// <summary>Hash: queued job -> gateways to notify about it.</summary>
    public RedisKey Watchers { get; } = Key(endpointId, "watchers");

    /// <summary>Hash: ended job -> its result.</summary>
    public RedisKey Results { get; } = Key(endpointId, "results");

    /// <summary>
    /// Hash: "job|in", "job|out" -> an input or output that is too large for the other hashes, and too small for a
    /// file.
    /// </summary>
    public RedisKey Blobs { get; } = Key(endpointId, "blobs");

    /// <summary>The keys of slots and of request tickets, without the queue and the counters.</summary>
    public RedisKey[] Slots =>
        [Leases, Held, Free, Finish, Grants, Busy, Workers, Capacity, TokenCapacity, Tokens, Blocked];

    internal static RedisKey Key(string endpointId, string part) => $"sluice:{{{endpointId}}}:{part}";
}
