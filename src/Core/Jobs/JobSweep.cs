using System.Collections.Concurrent;
using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Core.Jobs;

/// <summary>Ends an endpoint's jobs that waited for too long, and takes away the data of those whose retention ended. For one caller at a time for
/// each endpoint.</summary>
/// <param name="redis">Where they are.</param>
/// <param name="store">Ends those that waited for too long.</param>
/// <param name="payloads">Has the large ones' data.</param>
/// <param name="mostTombs">See <see cref="MostTombs"/>.</param>
public sealed class JobSweep(RedisStore redis, JobStore store, PayloadStore payloads, int mostTombs = JobSweep.MostTombs)
{
    /// <summary>For how long it is known that there was a job: at least half of this, unless there were too many.</summary>
    private static readonly TimeSpan KeepTombs = TimeSpan.FromDays(14);

    /// <summary>Of so many jobs of an endpoint, at most, it is known that they were (about 250 bytes each, 50 MB); the newer half of them stays when it is too
    /// many.</summary>
    public const int MostTombs = 200_000;

    /// <summary>How long webhook deliveries are known.</summary>
    private static readonly TimeSpan KeepDeliveries = TimeSpan.FromDays(7);

    /// <summary>Looked at in one call: Redis does nothing else for a millisecond.</summary>
    private const int AtOnce = 200;

    private static readonly Script SweepLua = Script.Load("job-sweep");

    private readonly ConcurrentDictionary<string, int> ranks = [];

    /// <summary>Sweeps what is due now; how many jobs' data went.</summary>
    public async Task<int> RunAsync(string endpointId, CancellationToken ct)
    {
        var k = new JobKeys(endpointId);
        var d = k.Dispatch;
        for (var all = 0; ;)
        {
            var r = (RedisResult[])await SweepLua.RunAsync(redis.Database,
                [d.Queue, k.Expiry, k.Index, k.Late, k.Dead, k.Log, k.Hooks, k.AllChunks, d.Asked, d.Again, d.Results, d.Large, k.Streams, k.Gone, k.GoneBefore, k.Bytes],
                [AtOnce, Ms(KeepTombs), mostTombs, ranks.GetValueOrDefault(endpointId), Ms(KeepDeliveries)]).WaitAsync(ct);
            var swept = (int)r[0];
            foreach (var reference in (RedisResult[])r[1]) payloads.Delete((byte[])reference);
            await store.EndQueuedAsync(endpointId, (string[])r[2], JobStatus.TimedOut, JobEnds.WaitedTooLong, ct);
            // Only where there is more to look at: endpoints come and go.
            if ((int)r[3] > 0) ranks[endpointId] = (int)r[3];
            else ranks.TryRemove(endpointId, out _);
            all += swept;
            if ((int)r[4] == 0) return all;
        }
    }

    private static long Ms(TimeSpan t) => (long)t.TotalMilliseconds;
}
