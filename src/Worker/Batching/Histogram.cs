namespace Sluice.Worker.Batching;

/// <summary>Counts by upper bound, with their sum; not for several threads at once.</summary>
internal sealed class Histogram(double[] bounds)
{
    private readonly long[] counts = new long[bounds.Length + 1];
    private double sum;

    public void Add(double value)
    {
        var at = Array.BinarySearch(bounds, value);
        counts[at < 0 ? ~at : at]++;
        sum += value;
    }

    /// <summary>Counts at or below each bound, the last one without bound, and the sum.</summary>
    public HistogramView View()
    {
        var below = new long[counts.Length];
        long all = 0;
        for (var i = 0; i < counts.Length; i++) below[i] = all += counts[i];
        return new HistogramView(bounds, below, sum);
    }
}

/// <summary>A histogram at one moment, as Prometheus wants it: cumulative.</summary>
/// <param name="Bounds">Upper bounds, but for the last one, which is infinite.</param>
/// <param name="Below">Counts at or below each bound.</param>
/// <param name="Sum">Of all values.</param>
public sealed record HistogramView(IReadOnlyList<double> Bounds, IReadOnlyList<long> Below, double Sum);
