using Microsoft.Extensions.Logging;
using Sluice.Domain.Jobs;
using Sluice.Storage.Background;
using Sluice.Storage.Catalog;
using Sluice.Storage.Fleet;
using Sluice.Storage.Jobs;

namespace Sluice.ControlPlane.Maintenance;

/// <summary>
/// Runs the job maintenance of the leader once a second: ends jobs that were queued too long, and deletes data whose
/// retention has ended.
/// </summary>
public sealed class JobMaintenanceService(
    PayloadSweep files,
    JobRetention sweep,
    CatalogWatcher catalog,
    LeaderElection leadership,
    TimeProvider time,
    ILogger<JobMaintenanceService> logger) : BackgroundLoop(time, logger)
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    /// <summary>Ticks between two sweeps of the payload files; see <see cref="PayloadSweep.OrphanAge"/>.</summary>
    private static readonly int SweepFilesEvery = (int)(PayloadSweep.OrphanAge / Every);

    private readonly TimeProvider time = time;
    private readonly EndpointTaskRotation chores = new();
    private int ticks;

    protected override async Task RunAsync(CancellationToken ct)
    {
        await catalog.Loaded.WaitAsync(ct);
        using var timer = new PeriodicTimer(Every, time);
        while (await timer.WaitForNextTickAsync(ct))
        {
            if (!leadership.IsLeader) continue;
            if (++ticks % SweepFilesEvery == 1)
                await TryAsync("Sweeping payload files", () => Task.Run(() => files.RunAsync(ct), ct), ct);
            chores.Start(catalog.Current.Deployments.Select(d => d.Endpoint.Id),
                id => TryAsync($"Sweeping the jobs of endpoint {id}", () => sweep.RunAsync(id, ct), ct), ct);
        }
    }

    /// <summary>Runs a task. Its failure must not affect the other tasks.</summary>
    private async Task TryAsync(string chore, Func<Task> run, CancellationToken ct)
    {
        try
        {
            await run();
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            Failures.Report(chore, e);
        }
        catch (OperationCanceledException)
        {
            // Shutdown.
        }
    }
}
