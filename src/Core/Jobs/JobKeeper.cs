using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sluice.Core.Endpoints;
using Sluice.Core.Redis;
using Sluice.Core.Workers;
using StackExchange.Redis;

namespace Sluice.Core.Jobs;

/// <summary>
/// The leader's chores, once a second: jobs that waited too long are ended, data whose retention ended is taken away.
/// </summary>
public sealed partial class JobKeeper(RedisStore redis, JobStore store, PayloadStore payloads, CatalogWatcher catalog,
    Reconciler reconciler, Leadership leadership, TimeProvider time, ILogger<JobKeeper> logger) : BackgroundService
{
    /// <summary>How long it is known that there was a job.</summary>
    private static readonly TimeSpan KeepTombstone = TimeSpan.FromDays(7);

    /// <summary>How long webhook deliveries are known.</summary>
    private static readonly TimeSpan KeepDeliveries = TimeSpan.FromDays(7);

    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    /// <summary>Ticks from one look at the payload files to the next: a day.</summary>
    private const int SweepFilesEvery = 86_400;

    /// <summary>Looked at in one call.</summary>
    private const int AtOnce = 500;

    private static readonly Script SweepLua = Script.Load("job-sweep");

    private readonly Dictionary<string, int> ranks = [];
    private int ticks;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        reconciler.Forgotten += endpoint => _ = TryAsync(endpoint, () => store.ForgetAsync(endpoint, stoppingToken), stoppingToken);
        await catalog.Loaded.WaitAsync(stoppingToken);
        using var timer = new PeriodicTimer(Every, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            if (!leadership.IsLeader) continue;
            if (++ticks % SweepFilesEvery == 1) await TryAsync("", () => Task.Run(() => payloads.Sweep(time.GetUtcNow()), stoppingToken), stoppingToken);
            foreach (var deployment in catalog.Current.Deployments)
                await TryAsync(deployment.Endpoint.Id, () => SweepAsync(deployment.Endpoint.Id, stoppingToken), stoppingToken);
        }
    }

    private async Task TryAsync(string endpointId, Func<Task> chore, CancellationToken ct)
    {
        try
        {
            await chore();
        }
        catch (Exception e) when (RedisDown.Is(e) && !ct.IsCancellationRequested)
        {
            CannotSweep(endpointId, e.Message);
        }
        catch (IOException e)
        {
            CannotDelete(payloads.Folder, e.Message);
        }
    }

    private async Task SweepAsync(string endpointId, CancellationToken ct)
    {
        var k = new JobKeys(endpointId);
        int swept;
        do
        {
            var r = (RedisResult[])await SweepLua.RunAsync(redis.Database,
                [k.Dispatch.Queue, k.Expiry, k.Index, k.Late, k.Dead, k.Log, k.Dispatch.Jobs, k.Hooks],
                [AtOnce, Ms(KeepTombstone), ranks.GetValueOrDefault(endpointId), Ms(KeepDeliveries)]).WaitAsync(ct);
            swept = (int)r[0];
            foreach (var reference in (RedisResult[])r[1]) payloads.Delete((byte[])reference);
            await store.EndQueuedAsync(endpointId, (string[])r[2], JobStatus.TimedOut, JobEnds.WaitedTooLong, ct);
            ranks[endpointId] = (int)r[3];
        }
        while (swept == AtOnce);
    }

    private static long Ms(TimeSpan t) => (long)t.TotalMilliseconds;

    [LoggerMessage(LogLevel.Warning, "Jobs of {Endpoint} cannot be swept now: {Error}")]
    private partial void CannotSweep(string endpoint, string error);

    [LoggerMessage(LogLevel.Error, "A payload in {Folder} cannot be deleted: {Error}")]
    private partial void CannotDelete(string folder, string error);
}
