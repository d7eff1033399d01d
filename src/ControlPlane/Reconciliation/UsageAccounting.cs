using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Sluice.Domain.Fleet;
using Sluice.Domain.Usage;
using Sluice.Storage.Background;
using Sluice.Storage.Usage;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>
/// Counts the time of workers on the leader. Each worker has a mark in Redis up to which its time is counted, so
/// another leader continues there.
/// </summary>
internal sealed class UsageAccounting(UsageLedger ledger, TimeProvider time, ILogger<UsageAccounting> logger)
{
    /// <summary>The longest time between two counts of workers that do not change.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    /// <summary>Interval between two searches for old hours.</summary>
    private static readonly TimeSpan FoldInterval = TimeSpan.FromHours(1);

    /// <summary>Maximum number of deleted endpoints whose old hours are added to days in one search.</summary>
    private const int MostDeleted = 100;

    private readonly FailureLog failures = new(time, logger);
    private readonly ConcurrentDictionary<string, Counted> counted = new(StringComparer.Ordinal);
    private long deletedFoldedAt = time.GetTimestamp();

    /// <summary>Counts the time of an endpoint's workers, if they changed or the last count is old.</summary>
    public async Task CountAsync(EndpointObservation observed, CancellationToken ct)
    {
        var workers = observed.Fleet.Pods.Where(p => p.State != PodState.Failed && !p.IsOrdered).ToList();
        var state = string.Join(',', workers.Select(p => $"{p.Id}{(p.ReadyAt is null ? "" : "+")}"));
        var last = counted.GetValueOrDefault(observed.EndpointId);
        if (last is null || last.Epoch != observed.Epoch) last = new Counted(observed.Epoch, "-", 0, 1, null);
        try
        {
            last = await CountAsync(observed, workers, state, last, ct);
            last = await FoldAsync(observed.EndpointId, last, ct);
            await FoldDeletedAsync(observed.Epoch, ct);
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            // The next round counts this time too.
            failures.Report($"Counting the time of workers of endpoint {observed.EndpointId}", e);
        }

        counted[observed.EndpointId] = last;
    }

    private async Task<Counted> CountAsync(
        EndpointObservation observed, List<Pod> workers, string state, Counted last, CancellationToken ct)
    {
        var isDue = state != last.State || time.GetElapsedTime(last.At) >= Interval;
        if (!isDue || (workers.Count == 0 && last.Marks == 0)) return last;
        var model = observed.Deployment is { } d ? UsageModels.Find(d.Endpoint) : "";
        var marks = await ledger.AddTimesAsync(observed.EndpointId, [.. workers.Select(
            p => new WorkerTime(p.Id, new UsageRow("", model, p.Gpu ?? ""), p.StartedAt, p.ReadyAt))], ct);
        return last with { State = state, At = time.GetTimestamp(), Marks = marks };
    }

    private async Task<Counted> FoldAsync(string endpointId, Counted last, CancellationToken ct)
    {
        if (last.FoldedAt is { } at && time.GetElapsedTime(at) < FoldInterval) return last;
        // Jobs and workers count without a gateway that sends requests, so reports must know the endpoint.
        await ledger.RegisterAsync([endpointId], ct);
        await ledger.FoldAsync(endpointId, ct);
        return last with { FoldedAt = time.GetTimestamp() };
    }

    /// <summary>
    /// Adds old hours of deleted endpoints to days, and forgets endpoints that this leader does not observe.
    /// </summary>
    private async Task FoldDeletedAsync(long epoch, CancellationToken ct)
    {
        var last = Interlocked.Read(ref deletedFoldedAt);
        if (time.GetElapsedTime(last) < FoldInterval
            || Interlocked.CompareExchange(ref deletedFoldedAt, time.GetTimestamp(), last) != last) return;
        foreach (var old in counted.Where(c => c.Value.Epoch != epoch)) counted.TryRemove(old);
        var deleted = (await ledger.EndpointsAsync(ct)).Where(e => !counted.ContainsKey(e)).ToArray();
        Random.Shared.Shuffle(deleted);
        foreach (var endpoint in deleted.Take(MostDeleted)) await ledger.FoldAsync(endpoint, ct);
    }

    private sealed record Counted(long Epoch, string State, long At, int Marks, long? FoldedAt);
}
