using System.Security.Cryptography;
using System.Text;
using Sluice.Core.Dispatch;
using StackExchange.Redis;

namespace Sluice.Core.Jobs;

/// <summary>The Redis keys of one endpoint's jobs, beside those of its <see cref="DispatchKeys"/>; the same hash tag.</summary>
public sealed class JobKeys(string endpointId)
{
    public DispatchKeys Dispatch { get; } = new(endpointId);

    /// <summary>List: jobs as they came. Of those that are before the first one whose data is still there nothing is left here.</summary>
    public RedisKey Index { get; } = DispatchKeys.Key(endpointId, "jobs");

    /// <summary>Sorted set: job -> submitted, unix ms. Jobs that outlived some that came after them; they are not in <see cref="Index"/> any more.</summary>
    public RedisKey Late { get; } = DispatchKeys.Key(endpointId, "late");

    /// <summary>Sorted set: "ended|job,job..", the jobs that one call ended and that go together -> when their data goes, unix ms. What was retried since
    /// has another end, or none.</summary>
    public RedisKey Expiry { get; } = DispatchKeys.Key(endpointId, "expiry");

    /// <summary>Sorted set: dead-letter job -> ended, unix ms.</summary>
    public RedisKey Dead { get; } = DispatchKeys.Key(endpointId, "dead");

    /// <summary>Hash: job whose data went -> what is left of it, packed; and since when this hash is.</summary>
    public RedisKey Gone { get; } = DispatchKeys.Key(endpointId, "gone");

    /// <summary>The same of earlier jobs.</summary>
    public RedisKey GoneBefore { get; } = DispatchKeys.Key(endpointId, "gone-before");

    /// <summary>Sorted set: webhook delivery -> next try, unix ms.</summary>
    public RedisKey Outbox { get; } = DispatchKeys.Key(endpointId, "outbox");

    /// <summary>Sorted set: webhook delivery -> made, unix ms.</summary>
    public RedisKey Log { get; } = DispatchKeys.Key(endpointId, "hooks");

    /// <summary>Prefix of each delivery's own hash.</summary>
    public RedisKey Hooks { get; } = DispatchKeys.Key(endpointId, "hook:");

    /// <summary>Hash: the endpoint's webhook signing secrets.</summary>
    public RedisKey Secrets { get; } = DispatchKeys.Key(endpointId, "secrets");

    /// <summary>Hash: job -> "bytes|read" of its stream.</summary>
    public RedisKey Streams { get; } = DispatchKeys.Key(endpointId, "streams");

    /// <summary>Hash: flow -> bytes that its jobs occupy, and <see cref="AllJobs"/> -> those of all jobs (<c>jobbytes.part.lua</c>).</summary>
    public RedisKey Bytes { get; } = DispatchKeys.Key(endpointId, "bytes");

    /// <summary>The field of <see cref="Bytes"/> with the sum of all flows.</summary>
    public const string AllJobs = "|all";

    /// <summary>Prefix of the lists of what jobs streamed.</summary>
    public RedisKey AllChunks { get; } = DispatchKeys.Key(endpointId, "chunks:");

    /// <summary>List: what the job streamed.</summary>
    public RedisKey Chunks(string id) => AllChunks.Append(id);

    /// <summary>Hash: a webhook delivery.</summary>
    public RedisKey Hook(string delivery) => Hooks.Append(delivery);

    /// <summary>Prefix of the strings that tell which job an Idempotency-Key stands for.</summary>
    public RedisKey Idempotency { get; } = DispatchKeys.Key(endpointId, "idem:");

    /// <summary>String: "deletion|phase", what was done last to remove a deleted endpoint's data.</summary>
    public RedisKey Forgotten { get; } = DispatchKeys.Key(endpointId, "forgotten");

    /// <summary>Those that name keys and files of jobs and deliveries.</summary>
    public RedisKey[] Listed => [Index, Late, Log, Streams, Dispatch.Asked, Dispatch.Results, Dispatch.Large];

    /// <summary>All other keys of jobs that have one name each, without the queue and the counters.</summary>
    public RedisKey[] Rest => [Bytes, Expiry, Dead, Gone, GoneBefore, Outbox, Secrets, Dispatch.Again, Dispatch.Watched, Dispatch.Running, Dispatch.Flows];

    /// <summary>What an Idempotency-Key of a flow is called: two keys' clients do not meet.</summary>
    public static string IdempotencyName(string flow, string key) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(flow + "\n" + key)))[..32];
}
