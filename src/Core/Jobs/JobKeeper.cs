using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sluice.Core.Endpoints;
using Sluice.Core.Redis;
using Sluice.Core.Workers;

namespace Sluice.Core.Jobs;

/// <summary>
/// The leader's chores, once a second: jobs that waited too long are ended, data whose retention ended is taken away.
/// </summary>
public sealed partial class JobKeeper(PayloadStore payloads, JobSweep sweep, CatalogWatcher catalog,
    Leadership leadership, TimeProvider time, ILogger<JobKeeper> logger) : BackgroundService
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    /// <summary>Ticks from one look at the payload files to the next: a day.</summary>
    private const int SweepFilesEvery = 86_400;

    private int ticks;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await catalog.Loaded.WaitAsync(stoppingToken);
        using var timer = new PeriodicTimer(Every, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            if (!leadership.IsLeader) continue;
            if (++ticks % SweepFilesEvery == 1) await TryAsync("", () => Task.Run(() => payloads.Sweep(time.GetUtcNow()), stoppingToken), stoppingToken);
            foreach (var deployment in catalog.Current.Deployments)
                await TryAsync(deployment.Endpoint.Id, () => sweep.RunAsync(deployment.Endpoint.Id, stoppingToken), stoppingToken);
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
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // Somebody wrote something else into Redis: of one endpoint nothing is swept then, but no gateway ends for it.
            SweepFailed(e, endpointId);
        }
    }

    [LoggerMessage(LogLevel.Warning, "Jobs of {Endpoint} cannot be swept now: {Error}")]
    private partial void CannotSweep(string endpoint, string error);

    [LoggerMessage(LogLevel.Error, "Sweeping the jobs of {Endpoint} failed; trying again")]
    private partial void SweepFailed(Exception e, string endpoint);

    [LoggerMessage(LogLevel.Error, "A payload in {Folder} cannot be deleted: {Error}")]
    private partial void CannotDelete(string folder, string error);
}
