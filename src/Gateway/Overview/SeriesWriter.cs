using Sluice.Dispatch;
using Sluice.Domain.Fleet;
using Sluice.Domain.Series;
using Sluice.Gateway.Observability;
using Sluice.Storage.Background;
using Sluice.Storage.Catalog;
using Sluice.Storage.Fleet;
using Sluice.Storage.Queueing;
using Sluice.Storage.Series;

namespace Sluice.Gateway.Overview;

/// <summary>
/// Stores what this gateway counted, once a step of 10 s and endpoint, with the queue and the workers of the endpoint
/// at that time. It stores nothing of idle endpoints. What Redis does not accept is lost from the charts.
/// </summary>
public sealed class SeriesWriter(
    SeriesRecorder recorder,
    SeriesStore store,
    WorkerSlotStore slots,
    PodStore pods,
    CatalogWatcher catalog,
    GatewayId gateway,
    TimeProvider time,
    ILogger<SeriesWriter> logger) : BackgroundLoop(time, logger)
{
    /// <summary>Endpoints that are read and written at the same time.</summary>
    private const int Parallel = 32;

    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(3);

    private static readonly TimeSpan LastTimeout = TimeSpan.FromSeconds(1);

    private readonly TimeProvider time = time;

    /// <summary>Ends a step, and stores it.</summary>
    /// <param name="start">The start of the step, in seconds of Unix time.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task WriteAsync(long start, CancellationToken ct)
    {
        recorder.Retain(catalog.Current.Deployments.Select(d => d.Endpoint.Id).ToHashSet());
        await System.Threading.Tasks.Parallel.ForEachAsync(
            recorder.Active(),
            new ParallelOptions { MaxDegreeOfParallelism = Parallel, CancellationToken = ct },
            async (e, stop) => await WriteAsync(e.Id, e.Record, start, stop));
    }

    protected override async Task RunAsync(CancellationToken ct)
    {
        while (!ct.IsCancellationRequested)
        {
            var now = time.GetUtcNow();
            var start = SeriesResolution.Fine.StartOf(now);
            var end = DateTimeOffset.FromUnixTimeSeconds(start + SeriesResolution.Fine.StepSeconds);
            try
            {
                await Task.Delay(end - now, time, ct);
            }
            catch (OperationCanceledException)
            {
                await WriteLastAsync(start);
                throw;
            }

            await WriteAsync(start, ct);
        }
    }

    /// <summary>Stores the step in which the gateway stops. Redis may be unavailable then.</summary>
    private async Task WriteLastAsync(long start)
    {
        using var limit = new CancellationTokenSource(LastTimeout, time);
        await Failures.WatchAsync("Storing counts for charts", WriteAsync(start, limit.Token));
    }

    private async Task WriteAsync(string id, EndpointRecord record, long start, CancellationToken ct)
    {
        var levels = new SeriesCounts();
        await Failures.WatchAsync("Reading the queue for charts", ReadLevelsAsync(id, levels, ct));
        var coarseStart = SeriesResolution.Coarse.StartOf(DateTimeOffset.FromUnixTimeSeconds(start));
        var (step, coarse) = record.Take(levels, coarseStart);
        if (!record.IsActive) return;
        await Failures.WatchAsync("Storing counts for charts", Task.WhenAll(
            store.PutAsync(id, gateway.Value, SeriesResolution.Fine, start, step, ct).WaitAsync(Timeout, time, ct),
            store.PutAsync(id, gateway.Value, SeriesResolution.Coarse, coarseStart, coarse, ct)
                .WaitAsync(Timeout, time, ct)));
    }

    private async Task ReadLevelsAsync(string id, SeriesCounts levels, CancellationToken ct)
    {
        var reading = slots.SnapshotAsync(id, ct);
        var known = await pods.ListAsync(id, ct).WaitAsync(Timeout, time, ct);
        levels.Queued = (await reading.WaitAsync(Timeout, time, ct)).Queued;
        levels.Ready = known.Count(p => p.State == PodState.Ready);
        levels.Starting = known.Count(p => p.State == PodState.Starting);
    }
}
