using Sluice.Storage.Jobs;
using StackExchange.Redis;

namespace Sluice.Storage.Batches;

/// <summary>The Redis keys of batches. They share one hash tag, so that one script can access all of them.</summary>
internal static class BatchKeys
{
    /// <summary>Sorted set: batch that has not ended -> created (Unix ms).</summary>
    public static readonly RedisKey Open = "sluice:{batches}:open";

    /// <summary>Hash: file -> open batches that read it.</summary>
    public static readonly RedisKey Used = "sluice:{batches}:used";

    /// <summary>
    /// The prefix of the hash of each batch: owner, request (JSON), file, blob, status, created, expires (Unix ms), one
    /// field "STATUS_at" for each later status (Unix s), total, completed, failed, errors (JSON), output and error
    /// (files), and token and until (Unix ms) of the run.
    /// </summary>
    public static readonly RedisKey Batches = "sluice:{batches}:batch:";

    /// <summary>Hash: a batch.</summary>
    public static RedisKey Batch(string id) => Batches.Append(id);

    /// <summary>Bitmap: the lines that are in the output, from 1.</summary>
    public static RedisKey Done(string id) => $"sluice:{{batches}}:done:{id}";

    /// <summary>Hash: the references of a batch: its input, and the parts of its output and errors.</summary>
    public static RedisKey Parts(string id) => PayloadSweep.BatchPartsPrefix + id;

    /// <summary>Sorted set: batch of an owner -> created (Unix ms).</summary>
    public static RedisKey Of(string owner) => $"sluice:{{batches}}:of:{owner}";
}
