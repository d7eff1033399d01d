using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Core.Jobs;

/// <summary>What jobs stream: a log for each, from which any reader can start anywhere.</summary>
public sealed class JobStreams(RedisStore redis)
{
    /// <summary>Chunks and bytes in one part.</summary>
    private const int MaxChunks = 1000;
    private const int MaxBytes = 1 << 20;

    private static readonly Script AppendLua = Script.Load("job-append");
    private static readonly Script ChunksLua = Script.Load("job-chunks");

    /// <summary>Adds chunks of an attempt; <paramref name="first"/> is how many it streamed before them.</summary>
    public async Task<AppendOutcome> AppendAsync(string endpointId, string id, Fence fence, int first, long maxBytes,
        IReadOnlyCollection<byte[]> chunks, CancellationToken ct, StreamRoom room = default)
    {
        var k = new JobKeys(endpointId);
        var r = (RedisResult[])await AppendLua.RunAsync(redis.Database, [k.Chunks(id), k.Streams, k.Dispatch.Running, k.Dispatch.Asked, k.Bytes],
            [id, endpointId, fence.ToString(), first, maxBytes, room.AllJobs, room.FlowJobs, .. chunks.Select(c => (RedisValue)c)]).WaitAsync(ct);
        return (string)r[0] switch
        {
            "ok" => AppendOutcome.Appended,
            "full" => AppendOutcome.Full,
            "bytes-full" or "flow-bytes-full" => AppendOutcome.NoRoom,
            "diverged" => AppendOutcome.Diverged,
            "gap" => AppendOutcome.Gap,
            _ => AppendOutcome.Stale,
        };
    }

    /// <summary>The next part; <paramref name="from"/> null: what no such call has read yet. The gateway is told when there is more.</summary>
    public async Task<JobPart> ReadAsync(string endpointId, string id, int? from, string watcher, CancellationToken ct)
    {
        var k = new JobKeys(endpointId);
        var d = k.Dispatch;
        var r = (RedisResult[])await ChunksLua.RunAsync(redis.Database,
            [k.Chunks(id), k.Streams, d.Running, d.Asked, d.Watched, d.Results, k.Gone, k.GoneBefore],
            [from is { } at ? at : "", MaxChunks, MaxBytes, watcher, id]).WaitAsync(ct);
        return new JobPart((string)r[0], (int)r[1] == 1, (int)r[2], (int)r[3], [.. ((RedisResult[])r[4]).Select(c => (byte[])c)]);
    }
}
