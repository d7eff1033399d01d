using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace Sluice.Gateway.Observability;

/// <summary>Holds the series of one instrument, under its Prometheus name.</summary>
public sealed class MetricFamily
{
    /// <summary>
    /// The maximum number of label sets of an instrument. Further label sets are dropped, so that clients cannot
    /// exhaust the memory.
    /// </summary>
    private const int MaxSeries = 5000;

    /// <summary>Bucket bounds in seconds, from a local response to a long generation.</summary>
    private static readonly double[] DefaultBounds =
        [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

    private readonly ConcurrentDictionary<Labels, MetricSeries> series = [];
    private readonly double[]? bounds;
    private readonly bool observable;

    public MetricFamily(Instrument instrument)
    {
        var type = instrument.GetType();
        var generic = type.IsGenericType ? type.GetGenericTypeDefinition() : type;
        observable = instrument.IsObservable;
        Help = instrument.Description is { Length: > 0 } text ? text : instrument.Name;
        Type = generic == typeof(Histogram<>) ? "histogram"
            : generic == typeof(Counter<>) || generic == typeof(ObservableCounter<>) ? "counter" : "gauge";
        Absolute = observable || generic == typeof(Gauge<>);
        bounds = Type != "histogram" ? null
            : (instrument as Histogram<double>)?.Advice?.HistogramBucketBoundaries?.ToArray() ?? DefaultBounds;
        Name = PrometheusText.Name(instrument.Name, instrument.Unit, Type);
    }

    public string Name { get; }

    public string Help { get; }

    /// <summary>counter, gauge or histogram.</summary>
    public string Type { get; }

    public IReadOnlyList<double>? Bounds => bounds;

    public IEnumerable<KeyValuePair<Labels, MetricSeries>> Series => series;

    /// <summary>Whether a measurement replaces the value; otherwise it is added to the value.</summary>
    private bool Absolute { get; }

    /// <summary>Records a measurement.</summary>
    public void Record(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var labels = new Labels(tags);
        if (!series.TryGetValue(labels, out var one))
        {
            if (series.Count >= MaxSeries) return;
            one = series.GetOrAdd(labels, _ => new MetricSeries(bounds));
        }

        if (bounds is not null) one.Observe(value, bounds);
        else if (Absolute) one.Set(value);
        else one.Add(value);
    }

    /// <summary>
    /// Clears an observable instrument before it is observed. Each observation reports all label sets, and a label set
    /// that no longer exists must not remain.
    /// </summary>
    public void BeforeObserving()
    {
        if (observable) series.Clear();
    }
}
