using System.Globalization;

namespace Sluice.Gateway.Observability;

/// <summary>The labels of a series, comparable, with up to four labels and without a separate allocation.</summary>
internal readonly record struct MetricLabels
{
    /// <summary>The most labels of a series: a lookup for each measurement must not allocate memory.</summary>
    public const int Most = 4;

    private readonly KeyValuePair<string, object?> a, b, c, d;

    /// <summary>Creates the labels from the first <see cref="Most"/> of a measurement.</summary>
    public MetricLabels(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        Count = Math.Min(tags.Length, Most);
        if (Count > 0) a = tags[0];
        if (Count > 1) b = tags[1];
        if (Count > 2) c = tags[2];
        if (Count > 3) d = tags[3];
    }

    public int Count { get; }

    /// <summary>Returns the names, with the characters that Prometheus accepts.</summary>
    public string[] Names() =>
        [.. All().Select(l => l.Key.Replace('.', '_').Replace('-', '_'))];

    /// <summary>Returns the values as texts.</summary>
    public string[] Values() =>
        [.. All().Select(l => Convert.ToString(l.Value, CultureInfo.InvariantCulture) ?? "")];

    /// <summary>Compares the labels field by field, because a key-value pair compares itself by reflection.</summary>
    public bool Equals(MetricLabels other) => Count == other.Count
        && Same(a, other.a)
        && Same(b, other.b)
        && Same(c, other.c)
        && Same(d, other.d);

    public override int GetHashCode() => HashCode.Combine(a.Value, b.Value, c.Value, d.Value);

    private IEnumerable<KeyValuePair<string, object?>> All() => new[] { a, b, c, d }.Take(Count);

    private static bool Same(KeyValuePair<string, object?> one, KeyValuePair<string, object?> other) =>
        Equals(one.Value, other.Value) && one.Key == other.Key;
}
