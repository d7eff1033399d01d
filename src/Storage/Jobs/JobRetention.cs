using System.Collections.Concurrent;
using Sluice.Domain.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Jobs;

/// <summary>
/// Ends the jobs of an endpoint that were queued too long, and deletes the data of jobs whose retention has ended. At
/// most one caller at a time per endpoint.
/// </summary>
/// <param name="redis">The shared connection to Redis.</param>
/// <param name="store">Ends the jobs that were queued too long.</param>
/// <param name="payloads">The store of large inputs and outputs.</param>
/// <param name="mostExpired">See <see cref="MostExpired"/>.</param>
public sealed class JobRetention(
    RedisStore redis,
    JobStore store,
    PayloadStore payloads,
    int mostExpired = JobRetention.MostExpired)
{
    /// <summary>
    /// How long the record of a deleted job is kept: at least half of this, unless there are too many.
    /// </summary>
    private static readonly TimeSpan KeepExpired = TimeSpan.FromDays(14);

    /// <summary>
    /// The most records of deleted jobs per endpoint (about 250 bytes each, 50 MB). When there are more, the newer half
    /// is kept.
    /// </summary>
    public const int MostExpired = 200_000;

    /// <summary>How long webhook deliveries are kept.</summary>
    private static readonly TimeSpan KeepDeliveries = TimeSpan.FromDays(7);

    /// <summary>The number of jobs in one call. Redis runs no other command for about a millisecond.</summary>
    private const int AtOnce = 200;

    private static readonly Script SweepLua = Script.Load("job-sweep");

    private readonly ConcurrentDictionary<string, int> ranks = [];

    /// <summary>Sweeps everything that is due.</summary>
    public async Task<SweepAnswer> RunAsync(string endpointId, CancellationToken ct)
    {
        var k = new JobKeys(endpointId);
        var d = k.Dispatch;
        for (var all = 0; ;)
        {
            var reply = await SweepLua.RunAsync(
                redis.Database,
                [
                    d.Queue, k.Expiry, k.Index, k.Late, k.Dead, k.Log, k.Hooks, k.AllChunks, d.Jobs, d.Retries,
                    d.Results, d.Blobs, k.Streams, k.Expired, k.ExpiredBefore, k.Bytes,
                ],
                [AtOnce, Ms(KeepExpired), mostExpired, ranks.GetValueOrDefault(endpointId), Ms(KeepDeliveries)])
                .WaitAsync(ct);
            var r = reply.Items();
            var swept = (int)r[0];
            foreach (var reference in r[1].Items()) payloads.Delete(reference.Bytes());
            await store.EndQueuedAsync(endpointId, r[2].Texts(), JobStatus.TimedOut, JobEnds.WaitedTooLong, ct);
            // Keep a rank only while there is more to check: endpoints are created and deleted.
            if ((int)r[3] > 0) ranks[endpointId] = (int)r[3];
            else ranks.TryRemove(endpointId, out _);
            all += swept;
            if ((int)r[4] != 0) continue;
            // The data of jobs that were ended here is due later than this sweep knows.
            if ((int)r[3] > 0 || r[2].Items().Length > 0) return new SweepAnswer(all, TimeSpan.Zero);
            return new SweepAnswer(all, (long)r[5] is >= 0 and var ms ? TimeSpan.FromMilliseconds(ms) : null);
        }
    }

    private static long Ms(TimeSpan t) => (long)t.TotalMilliseconds;
}
