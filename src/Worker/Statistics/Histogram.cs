namespace Sluice.Worker.Statistics;

/// <summary>Counts values by upper bound, and adds them up. Not thread-safe.</summary>
internal sealed class Histogram(double[] bounds)
{
    private readonly long[] counts = new long[bounds.Length + 1];
    private double sum;

    /// <summary>Adds a value.</summary>
    public void Add(double value)
    {
        var at = Array.BinarySearch(bounds, value);
        counts[at < 0 ? ~at : at]++;
        sum += value;
    }

    /// <summary>Returns the cumulative counts, including the one without a bound, and the sum.</summary>
    public HistogramView View()
    {
        var below = new long[counts.Length];
        long all = 0;
        for (var i = 0; i < counts.Length; i++) below[i] = all += counts[i];
        return new HistogramView(bounds, below, sum);
    }
}
