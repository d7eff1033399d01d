using System.Collections.Concurrent;
using Sluice.Domain.Series;
using Sluice.Storage.Catalog;
using Sluice.Storage.Series;

namespace Sluice.Gateway.Overview;

/// <summary>
/// Reads the series of endpoints. A chart is made once a step, whatever the number of its readers is, and only steps
/// that all gateways have stored are shown.
/// </summary>
public sealed class SeriesReader(SeriesStore store, CatalogWatcher catalog, TimeProvider time)
{
    /// <summary>Charts that are kept, about 50 KB each.</summary>
    private const int MaxKept = 200;

    /// <summary>When all gateways have stored a step, after its end.</summary>
    private static readonly TimeSpan Late = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<(string, int, long), Lazy<Task<SeriesChart>>> kept = new();

    /// <summary>Returns the chart of an endpoint, or of all together.</summary>
    /// <param name="endpointId">The endpoint; empty: all declared ones.</param>
    /// <param name="minutes">The time of the chart, up to now.</param>
    /// <param name="ct">Cancels the wait.</param>
    public async Task<SeriesChart> ReadAsync(string endpointId, int minutes, CancellationToken ct)
    {
        var (stored, seconds) = SeriesResolution.Select(minutes);
        var to = (time.GetUtcNow() - Late).ToUnixTimeSeconds() / seconds * seconds;
        var key = (endpointId, minutes, to);
        foreach (var old in kept.Keys)
            if (kept.Count > MaxKept || (old.Item1, old.Item2) == (endpointId, minutes) && old.Item3 != to)
                kept.TryRemove(old, out _);
        var chart = kept.GetOrAdd(key, _ => new(() => MakeAsync(endpointId, stored, seconds, to - (minutes * 60), to)));
        try
        {
            return await chart.Value.WaitAsync(ct);
        }
        catch when (chart.Value.IsFaulted)
        {
            kept.TryRemove(new(key, chart));
            throw;
        }
    }

    /// <summary>
    /// Returns what happened at each endpoint in the last complete steps, summed over gateways; an endpoint without
    /// requests is missing.
    /// </summary>
    /// <param name="steps">The number of steps of 10 s.</param>
    /// <param name="ct">Cancels the wait.</param>
    public async Task<IReadOnlyDictionary<string, SeriesCounts>> ReadLatestAsync(int steps, CancellationToken ct)
    {
        var to = SeriesResolution.Fine.StartOf(time.GetUtcNow() - Late);
        var from = to - (steps * SeriesResolution.Fine.StepSeconds);
        var sums = new Dictionary<string, SeriesCounts>();
        foreach (var (id, found) in await Task.WhenAll(Declared().Select(async id =>
            (id, await store.ReadAsync(id, SeriesResolution.Fine, from, to, ct)))))
        {
            if (found.Count == 0) continue;
            var sum = sums[id] = new SeriesCounts();
            foreach (var (_, counts) in found) sum.Add(counts);
        }

        return sums;
    }

    private async Task<SeriesChart> MakeAsync(string id, SeriesResolution stored, int seconds, long from, long to)
    {
        var ids = id.Length > 0 ? [id] : Declared();
        var read = await Task.WhenAll(ids.Select(i => store.ReadAsync(i, stored, from, to, CancellationToken.None)));
        return SeriesChart.Make(read, seconds, from, to);
    }

    private List<string> Declared() => [.. catalog.Current.Deployments.Select(d => d.Endpoint.Id)];
}
