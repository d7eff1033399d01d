using Sluice.Domain.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Jobs;

/// <summary>Stores the streams of jobs: one log per job, which readers can read from any position.</summary>
public sealed class JobStreams(RedisStore redis)
{
    /// <summary>The most chunks and bytes in one part.</summary>
    private const int MaxChunks = 1000;
    private const int MaxBytes = 1 << 20;

    private static readonly Script AppendLua = Script.Load("job-append");
    private static readonly Script ChunksLua = Script.Load("job-chunks");

    /// <summary>Appends chunks of an attempt.</summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="id">The job.</param>
    /// <param name="fence">The fence of the attempt.</param>
    /// <param name="first">The number of chunks that the attempt streamed before these.</param>
    /// <param name="maxBytes">The size limit of the log in bytes.</param>
    /// <param name="chunks">The chunks, as JSON.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <param name="room">The limits of all jobs of the endpoint and of the key.</param>
    public async Task<AppendOutcome> AppendAsync(
        string endpointId,
        string id,
        Fence fence,
        int first,
        long maxBytes,
        IReadOnlyCollection<byte[]> chunks,
        CancellationToken ct,
        StreamCapacity room = default)
    {
        var k = new JobKeys(endpointId);
        var reply = await AppendLua.RunAsync(
            redis.Database,
            [k.Chunks(id), k.Streams, k.Dispatch.Running, k.Dispatch.Jobs, k.Bytes],
            [
                id, endpointId, fence.ToString(), first, maxBytes, room.AllJobs, room.FlowJobs,
                .. chunks.Select(c => (RedisValue)c),
            ]).WaitAsync(ct);
        return reply.Items()[0].Text() switch
        {
            "ok" => AppendOutcome.Appended,
            "full" => AppendOutcome.Full,
            "bytes-full" or "flow-bytes-full" => AppendOutcome.NoRoom,
            "diverged" => AppendOutcome.Diverged,
            "gap" => AppendOutcome.Gap,
            _ => AppendOutcome.Stale,
        };
    }

    /// <summary>Reads the next part of a stream. The watching gateway is notified when there is more.</summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="id">The job.</param>
    /// <param name="from">The index of the first chunk; null: the first chunk that no such call has read yet.</param>
    /// <param name="watcher">The gateway to notify.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task<JobPart> ReadAsync(string endpointId, string id, int? from, string watcher, CancellationToken ct)
    {
        var k = new JobKeys(endpointId);
        var d = k.Dispatch;
        var reply = await ChunksLua.RunAsync(redis.Database,
            [k.Chunks(id), k.Streams, d.Running, d.Jobs, d.Watchers, d.Results, k.Expired, k.ExpiredBefore],
            [from is { } at ? at : "", MaxChunks, MaxBytes, watcher, id]).WaitAsync(ct);
        var r = reply.Items();
        return new JobPart(
            r[0].Text(),
            (int)r[1] == 1,
            (int)r[2],
            (int)r[3],
            Array.ConvertAll(r[4].Items(), RedisReply.Bytes));
    }
}
