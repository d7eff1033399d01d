using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Prometheus;

namespace Sluice.Gateway.Observability;

/// <summary>Records the measurements of one instrument in a collector of prometheus-net.</summary>
internal sealed class MetricFamily
{
    /// <summary>
    /// The maximum number of label sets of an instrument. Further label sets are dropped, so that clients cannot
    /// exhaust the memory.
    /// </summary>
    private const int MaxSeries = 5000;

    /// <summary>Bucket bounds in seconds, from a local response to a long generation.</summary>
    private static readonly double[] DefaultBounds =
        [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

    private readonly ConcurrentDictionary<MetricLabels, Action<double>> series = [];
    private readonly string name;
    private readonly string help;
    private readonly MetricKind kind;
    private readonly bool isAbsolute;
    private readonly bool isOwn;
    private readonly double[] bounds;

    /// <summary>Creates the collectors; null for an observable instrument before its first observation.</summary>
    private IMetricFactory? factory;

    public MetricFamily(Instrument instrument, IMetricFactory factory)
    {
        var type = instrument.GetType();
        var generic = type.IsGenericType ? type.GetGenericTypeDefinition() : type;
        IsObservable = instrument.IsObservable;
        isOwn = instrument.Meter.Name.StartsWith("Sluice", StringComparison.Ordinal);
        // prometheus-net does not escape help texts.
        help = (instrument.Description is { Length: > 0 } text ? text : instrument.Name)
            .Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
        kind = generic == typeof(Histogram<>) ? MetricKind.Histogram
            : generic == typeof(Counter<>) || generic == typeof(ObservableCounter<>) ? MetricKind.Counter
            : MetricKind.Gauge;
        isAbsolute = IsObservable || generic == typeof(Gauge<>);
        bounds = (instrument as Histogram<double>)?.Advice?.HistogramBucketBoundaries?.ToArray() ?? DefaultBounds;
        name = PrometheusName.Format(instrument.Name, instrument.Unit, kind);
        if (IsObservable) return;
        this.factory = factory;
        CreateSeries(default, factory);
    }

    public bool IsObservable { get; }

    /// <summary>
    /// Records a measurement. Kestrel describes a connection with up to eight labels, of which the first ones count.
    /// </summary>
    /// <exception cref="ArgumentException">
    /// An instrument of Sluice has more labels than <see cref="MetricLabels.Most"/>: a mistake of its developer.
    /// </exception>
    public void Record(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (isOwn && tags.Length > MetricLabels.Most) throw TooMany(tags);
        var labels = new MetricLabels(tags);
        if (!series.TryGetValue(labels, out var record))
        {
            if (factory is null || series.Count >= MaxSeries) return;
            record = series.GetOrAdd(labels, CreateSeries, factory);
        }

        record(value);
    }

    private ArgumentException TooMany(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var names = new List<string>();
        foreach (var tag in tags) names.Add(tag.Key);
        return new ArgumentException($"Metric {name} has {tags.Length} labels ({string.Join(", ", names)}); expected "
            + $"at most {MetricLabels.Most}, because further ones would be lost.", nameof(tags));
    }

    /// <summary>
    /// Directs the next measurements of an observable instrument to new collectors. Each observation reports all label
    /// sets, and a label set that no longer exists must not remain.
    /// </summary>
    public void StartObservation(IMetricFactory next)
    {
        factory = next;
        series.Clear();
        CreateSeries(default, next);
    }

    /// <summary>
    /// Returns the method that records a value of a label set. Without labels, the collector is the series, and is
    /// exported from its first value.
    /// </summary>
    private Action<double> CreateSeries(MetricLabels labels, IMetricFactory create)
    {
        var (names, values) = (labels.Names(), labels.Values());
        switch (kind)
        {
            case MetricKind.Counter:
                var counters = create.CreateCounter(name, help, names,
                    new CounterConfiguration { SuppressInitialValue = true });
                ICounter counter = labels.Count == 0 ? counters : counters.WithLabels(values);
                return isAbsolute ? counter.IncTo : counter.Inc;
            case MetricKind.Gauge:
                var gauges = create.CreateGauge(name, help, names,
                    new GaugeConfiguration { SuppressInitialValue = true });
                IGauge gauge = labels.Count == 0 ? gauges : gauges.WithLabels(values);
                return isAbsolute ? gauge.Set : gauge.Inc;
            default:
                var histograms = create.CreateHistogram(name, help, names,
                    new HistogramConfiguration { SuppressInitialValue = true, Buckets = bounds });
                IHistogram histogram = labels.Count == 0 ? histograms : histograms.WithLabels(values);
                return histogram.Observe;
        }
    }
}
