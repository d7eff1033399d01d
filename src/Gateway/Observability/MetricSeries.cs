namespace Sluice.Gateway.Observability;

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
