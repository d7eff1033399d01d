using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace Sluice.Gateway.Operations;

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

/// <summary>The labels of a series, comparable, with up to four labels and without a separate allocation.</summary>
public readonly record struct Labels
{
    private readonly KeyValuePair<string, object?> a, b, c, d;

    public Labels(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        Count = Math.Min(tags.Length, 4);
        if (Count > 0) a = tags[0];
        if (Count > 1) b = tags[1];
        if (Count > 2) c = tags[2];
        if (Count > 3) d = tags[3];
    }

    public int Count { get; }

    /// <summary>Compares the labels field by field, because a key-value pair compares itself by reflection.</summary>
    public bool Equals(Labels other) => Count == other.Count
        && Same(a, other.a)
        && Same(b, other.b)
        && Same(c, other.c)
        && Same(d, other.d);

    public override int GetHashCode() => HashCode.Combine(a.Value, b.Value, c.Value, d.Value);

    public KeyValuePair<string, object?> this[int index] => index switch { 0 => a, 1 => b, 2 => c, _ => d };

    private static bool Same(KeyValuePair<string, object?> one, KeyValuePair<string, object?> other) =>
        Equals(one.Value, other.Value) && one.Key == other.Key;
}

/// <summary>Holds the values of one label set. Many threads write it; a scrape reads it.</summary>
public sealed class MetricSeries(double[]? bounds)
{
    private readonly long[] buckets = bounds is null ? [] : new long[bounds.Length + 1];
    private double sum;

    /// <summary>The value of a counter or gauge, or the sum of a histogram.</summary>
    public double Value => Volatile.Read(ref sum);

    public void Set(double value) => Volatile.Write(ref sum, value);

    public void Add(double value)
    {
        double seen, next;
        do
        {
            seen = Volatile.Read(ref sum);
            next = seen + value;
        }
        while (BitConverter.DoubleToInt64Bits(Interlocked.CompareExchange(ref sum, next, seen))
            != BitConverter.DoubleToInt64Bits(seen));
    }

    public void Observe(double value, double[] upTo)
    {
        var i = Array.BinarySearch(upTo, value);
        Interlocked.Increment(ref buckets[i < 0 ? ~i : i]);
        Add(value);
    }

    /// <summary>Returns the counts per bucket, not cumulative. The last bucket is above all bounds.</summary>
    public long[] Buckets()
    {
        var copy = new long[buckets.Length];
        for (var i = 0; i < copy.Length; i++) copy[i] = Interlocked.Read(ref buckets[i]);
        return copy;
    }
}
