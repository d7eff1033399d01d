using Microsoft.Extensions.Logging;
using Sluice.ControlPlane.Scheduling;
using Sluice.Domain.Jobs;
using Sluice.Storage.Background;
using Sluice.Storage.Catalog;
using Sluice.Storage.Fleet;
using Sluice.Storage.Jobs;

namespace Sluice.ControlPlane.Maintenance;

/// <summary>
/// Runs the job maintenance of the leader once a second: ends jobs that were queued too long, and deletes data whose
/// retention has ended. An endpoint at rest is skipped until its next data is due.
/// </summary>
internal sealed class JobMaintenanceService(
    PayloadSweep files,
    JobRetention sweep,
    CatalogWatcher catalog,
    LeaderElection leadership,
    RestingEndpoints resting,
    TimeProvider time,
    ILogger<JobMaintenanceService> logger) : BackgroundLoop(time, logger)
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    /// <summary>Ticks between two sweeps of the payload files; see <see cref="PayloadSweep.OrphanAge"/>.</summary>
    private static readonly int SweepFilesEvery = (int)(PayloadSweep.OrphanAge / Every);

    private readonly TimeProvider time = time;
    private readonly EndpointTaskRotation chores = new();
    private readonly SweepTimes times = new();
    private int ticks;

    protected override async Task RunAsync(CancellationToken ct)
    {
        await catalog.Loaded.WaitAsync(ct);
        using var timer = SharedTicks.Every(Every, time);
        while (await timer.WaitForNextTickAsync(ct))
        {
            if (!leadership.IsLeader)
            {
                // Another leader may sweep until this gateway leads again.
                times.Clear();
                continue;
            }

            if (++ticks % SweepFilesEvery == 1)
                await TryAsync("Sweeping payload files", () => Task.Run(() => files.RunAsync(ct), ct), ct);
            chores.Start(ListDue(), id => TryAsync($"Sweeping the jobs of endpoint {id}", () => SweepAsync(id, ct), ct),
                ct);
        }
    }

    private List<string> ListDue()
    {
        var (declared, now) = (catalog.Current, time.GetUtcNow());
        times.Retain(id => declared.Find(id) is not null);
        return [.. declared.Deployments.Select(d => d.Endpoint.Id)
            .Where(id => times.IsDue(id, resting.IsResting(id), now))];
    }

    private async Task SweepAsync(string endpointId, CancellationToken ct)
    {
        // What happens during the sweep wakes the endpoint, and it is swept again.
        var wasResting = resting.IsResting(endpointId);
        times.Record(endpointId, wasResting, await sweep.RunAsync(endpointId, ct), time.GetUtcNow());
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
