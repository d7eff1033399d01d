using System.Security.Cryptography;
using System.Text;
using StackExchange.Redis;

namespace Sluice.Storage.Queueing;

/// <summary>
/// The Redis keys of one endpoint's jobs. They have the same hash tag as its <see cref="DispatchKeys"/>.
/// </summary>
public sealed class JobKeys(string endpointId)
{
    public DispatchKeys Dispatch { get; } = new(endpointId);

    /// <summary>
    /// List: jobs in the order of their submission. Leading jobs whose data was deleted are removed.
    /// </summary>
    public RedisKey Index { get; } = DispatchKeys.Key(endpointId, "index");

    /// <summary>
    /// Sorted set: job -> submitted (Unix ms). Jobs that outlived later ones; they are no longer in
    /// <see cref="Index"/>.
    /// </summary>
    public RedisKey Late { get; } = DispatchKeys.Key(endpointId, "late");

    /// <summary>
    /// Sorted set: "ended|job,job..", the jobs that one call ended and that expire together -> when their data is
    /// deleted (Unix ms). A job that was retried since then has a different end, or none.
    /// </summary>
    public RedisKey Expiry { get; } = DispatchKeys.Key(endpointId, "expiry");

    /// <summary>Sorted set: dead-letter job -> ended (Unix ms).</summary>
    public RedisKey Dead { get; } = DispatchKeys.Key(endpointId, "dead");

    /// <summary>
    /// Hash: job whose data was deleted -> its remaining record, packed; also the creation time of this hash.
    /// </summary>
    public RedisKey Expired { get; } = DispatchKeys.Key(endpointId, "expired");

    /// <summary>The hash before <see cref="Expired"/>, with older jobs.</summary>
    public RedisKey ExpiredBefore { get; } = DispatchKeys.Key(endpointId, "expired-before");

    /// <summary>Sorted set: webhook delivery -> next attempt (Unix ms).</summary>
    public RedisKey Outbox { get; } = DispatchKeys.Key(endpointId, "outbox");

    /// <summary>Sorted set: webhook delivery -> created (Unix ms).</summary>
    public RedisKey Log { get; } = DispatchKeys.Key(endpointId, "hooks");

    /// <summary>The prefix of the hash of each delivery.</summary>
    public RedisKey Hooks { get; } = DispatchKeys.Key(endpointId, "hook:");

    /// <summary>Hash: the webhook signing secrets of the endpoint.</summary>
    public RedisKey Secrets { get; } = DispatchKeys.Key(endpointId, "secrets");

    /// <summary>Hash: job -> "bytes|read" of its stream.</summary>
    public RedisKey Streams { get; } = DispatchKeys.Key(endpointId, "streams");

    /// <summary>
    /// Hash: flow -> bytes that its jobs occupy, and <see cref="AllJobs"/> -> those of all jobs
    /// (<c>jobbytes.part.lua</c>).
    /// </summary>
    public RedisKey Bytes { get; } = DispatchKeys.Key(endpointId, "bytes");

    /// <summary>The field of <see cref="Bytes"/> with the sum of all flows.</summary>
    public const string AllJobs = "|all";

    /// <summary>The prefix of the lists of streamed chunks.</summary>
    public RedisKey AllChunks { get; } = DispatchKeys.Key(endpointId, "chunks:");

    /// <summary>List: the chunks that the job streamed.</summary>
    public RedisKey Chunks(string id) => AllChunks.Append(id);

    /// <summary>Hash: a webhook delivery.</summary>
    public RedisKey Hook(string delivery) => Hooks.Append(delivery);

    /// <summary>The prefix of the strings that map an Idempotency-Key to a job.</summary>
    public RedisKey Idempotency { get; } = DispatchKeys.Key(endpointId, "idem:");

    /// <summary>String: "deletion|phase", the last completed step of removing the data of a deleted endpoint.</summary>
    public RedisKey Forgotten { get; } = DispatchKeys.Key(endpointId, "forgotten");

    /// <summary>
    /// Sorted set: the hashes of usage by their time, and their prefix (<c>ledger.part.lua</c>). The usage of a deleted
    /// endpoint is kept.
    /// </summary>
    public RedisKey Ledger { get; } = DispatchKeys.Key(endpointId, "ledger");

    /// <summary>The keys that list keys and files of jobs and deliveries.</summary>
    public RedisKey[] Listed => [Index, Late, Log, Streams, Dispatch.Jobs, Dispatch.Results, Dispatch.Blobs];

    /// <summary>All other keys of jobs with a fixed name, without the queue and the counters.</summary>
    public RedisKey[] Rest =>
    [
        Bytes, Expiry, Dead, Expired, ExpiredBefore, Outbox, Secrets, Dispatch.Retries, Dispatch.Watchers,
        Dispatch.Running, Dispatch.Flows,
    ];

    /// <summary>Returns the name of an Idempotency-Key of a flow: equal keys of two API keys do not collide.</summary>
    public static string IdempotencyName(string flow, string key) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(flow + "\n" + key)))[..32];
}
