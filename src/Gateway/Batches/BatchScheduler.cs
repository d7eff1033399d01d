using System.Collections.Concurrent;
using System.Security.Cryptography;
using Sluice.Storage.Background;
using Sluice.Storage.Batches;
using Sluice.Storage.Files;
using Sluice.Storage.Jobs;

namespace Sluice.Gateway.Batches;

/// <summary>
/// Claims batches that no gateway runs, and runs them. Each gateway does this; the lease of a batch selects one.
/// It also deletes files that have expired.
/// </summary>
public sealed partial class BatchScheduler(BatchServices services, FileStore files, PayloadShare payloads,
    IHostApplicationLifetime lifetime, TimeProvider time, ILogger<BatchScheduler> logger) : BackgroundLoop(time, logger)
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ExpireEvery = TimeSpan.FromMinutes(1);

    private readonly TimeProvider time = time;
    private readonly ILogger<BatchScheduler> logger = logger;
    private readonly ConcurrentDictionary<Task, bool> running = [];
    private volatile TaskCompletionSource wake = New();

    /// <summary>Looks for batches immediately: one was created or cancelled at this gateway.</summary>
    public void Wake() => wake.TrySetResult();

    protected override async Task RunAsync(CancellationToken ct)
    {
        await services.Catalog.Loaded.WaitAsync(ct);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct, lifetime.ApplicationStopping);
        var expired = time.GetTimestamp() - time.TimestampFrequency * (long)ExpireEvery.TotalSeconds;
        try
        {
            while (!stop.IsCancellationRequested)
            {
                var next = wake = New();
                // Without the payload folder, another gateway must run the batches.
                if (payloads.IsAvailable)
                    await Failures.WatchAsync("Claiming batches", ClaimAsync(stop.Token));
                if (time.GetElapsedTime(expired) >= ExpireEvery)
                {
                    expired = time.GetTimestamp();
                    await Failures.WatchAsync("Deleting expired files", files.DeleteExpiredAsync(stop.Token));
                }

                using var timer = CancellationTokenSource.CreateLinkedTokenSource(stop.Token);
                await Task.WhenAny(next.Task, SharedTicks.WaitAsync(Every, time, timer.Token));
                await timer.CancelAsync();
            }
        }
        finally
        {
            await stop.CancelAsync();
            await Task.WhenAll([.. running.Keys]);
        }
    }

    private async Task ClaimAsync(CancellationToken ct)
    {
        while (running.Count < BatchSettings.MostRuns)
        {
            var token = RandomNumberGenerator.GetHexString(16, lowercase: true);
            if (await services.Store.ClaimAsync(token, ct) is not { } batch) return;
            var task = Task.Run(() => RunAsync(batch, token, ct), CancellationToken.None);
            running[task] = true;
            _ = task.ContinueWith(t => running.TryRemove(t, out _), TaskScheduler.Default);
        }
    }

    private async Task RunAsync(BatchState batch, string token, CancellationToken ct)
    {
        try
        {
            BatchClaimed(batch.Id, batch.Status);
            var status = await new BatchRun(services, batch, token).RunAsync(ct);
            if (status is not null) BatchEnded(batch.Id, status);
            else BatchRunStopped(batch.Id);
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // The gateway stops. Another one continues the batch immediately.
            await Failures.WatchAsync($"Releasing batch {batch.Id}",
                services.Store.ReleaseAsync(batch.Id, token, CancellationToken.None)
                    .WaitAsync(BatchStore.Lease, time, CancellationToken.None));
        }
        catch (Exception e)
        {
            // The end of the lease is the pause before the next try.
            Failures.Report($"Running batch {batch.Id}", e);
        }
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    [LoggerMessage(LogLevel.Information, "Batch {Batch} claimed with status {Status}")]
    private partial void BatchClaimed(string batch, string status);

    [LoggerMessage(LogLevel.Information, "Batch {Batch} ended with status {Status}")]
    private partial void BatchEnded(string batch, string status);

    [LoggerMessage(LogLevel.Information, "Batch {Batch} is run by another gateway now")]
    private partial void BatchRunStopped(string batch);
}
