using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Jobs;

/// <summary>Deletes the job data of deleted endpoints.</summary>
internal sealed class EndpointJobData(RedisStore redis, PayloadStore payloads)
{
    /// <summary>The number of jobs or deliveries whose data one command reads or deletes.</summary>
    private const int AtOnce = 200;

    /// <summary>
    /// Deletes the payload files, streams and deliveries that the renamed keys of a deleted endpoint list, and then
    /// these keys.
    /// </summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="suffix">The suffix of the renamed keys; see <c>endpoint-forget.lua</c>.</param>
    /// <param name="ct">Cancels the call; the next call continues.</param>
    public async Task DeleteListedAsync(string endpointId, string suffix, CancellationToken ct)
    {
        var k = new JobKeys(endpointId);
        var (d, db) = (k.Dispatch, redis.Database);
        RedisKey Renamed(RedisKey key) => key.Append(suffix);
        RedisValue[] all =
        [
            .. await db.ListRangeAsync(Renamed(k.Index)).WaitAsync(ct),
            .. await db.SortedSetRangeByRankAsync(Renamed(k.Late)).WaitAsync(ct),
        ];
        foreach (var part in all.Chunk(AtOnce))
        {
            foreach (var submission in await db.HashGetAsync(Renamed(d.Jobs), part).WaitAsync(ct))
                if (!submission.IsNull) payloads.Delete(JobSerializer.Input((byte[])submission!).Input);
            foreach (var result in await db.HashGetAsync(Renamed(d.Results), part).WaitAsync(ct))
                if (!result.IsNull) payloads.Delete(JobSerializer.Value((byte[])result!));
            await db.KeyDeleteAsync(Array.ConvertAll(part, id => k.Chunks(id!))).WaitAsync(ct);
        }

        foreach (var part in (await db.SortedSetRangeByRankAsync(Renamed(k.Log)).WaitAsync(ct)).Chunk(AtOnce))
            await db.KeyDeleteAsync([.. part.Select(hook => k.Hook(hook!))]).WaitAsync(ct);
        foreach (var key in k.Listed) await db.ExecuteAsync("UNLINK", Renamed(key)).WaitAsync(ct);
    }
}
