using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;

namespace Sluice.Storage.Jobs;

/// <summary>Decides whether an output is stored in Redis or in a file, and writes the file.</summary>
/// <param name="redis">The shared connection to Redis.</param>
/// <param name="payloads">The store of large inputs and outputs.</param>
/// <param name="memory">The memory use of Redis; null: it is not checked.</param>
internal sealed class JobOutputWriter(RedisStore redis, PayloadStore payloads, RedisMemoryPressure? memory)
{
    /// <summary>How long an end waits for the byte count: as long as a write of dispatch.</summary>
    private static readonly TimeSpan RoomPatience = TimeSpan.FromSeconds(2);

    /// <summary>The output bytes that the byte count of each job includes (ROOM in <c>jobbytes.part.lua</c>).</summary>
    private const int ShortOutput = 512;

    /// <summary>Returns the Redis value for an output: the output, or a reference to its file.</summary>
    public async Task<ReadOnlyMemory<byte>> SaveAsync(
        string endpointId,
        ReadOnlyMemory<byte> output,
        long maxBytes,
        CancellationToken ct)
    {
        // An output that is larger than InlineBytes is stored in a file in any case.
        var inRedis = output.Length is <= ShortOutput or > PayloadStore.InlineBytes
            || await HasRoomAsync(endpointId, output.Length, maxBytes);
        if (inRedis) return await payloads.SaveAsync(output, ct);
        try
        {
            return await payloads.SaveAsync(output, ct, ShortOutput);
        }
        catch (PayloadException)
        {
            // The memory limit must not cause the loss of a result: the output is small enough for Redis.
            return output;
        }
    }

    /// <summary>
    /// Returns whether an output may be stored in Redis. True while Redis is unavailable: the write waits for Redis as
    /// well.
    /// </summary>
    private async Task<bool> HasRoomAsync(string endpointId, int bytes, long maxBytes)
    {
        var k = new JobKeys(endpointId);
        if (memory?.HasNoRoom(endpointId) == true) return false;
        if (maxBytes == 0) return true;
        try
        {
            var held = await redis.Database.HashGetAsync(k.Bytes, JobKeys.AllJobs)
                .WaitAsync(RoomPatience, TimeProvider.System);
            return (held.IsNull ? 0 : (long)held) + bytes <= maxBytes / 2;
        }
        catch (Exception e) when (RedisErrors.Is(e))
        {
            return true;
        }
    }
}
