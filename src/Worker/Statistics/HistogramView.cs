namespace Sluice.Worker.Statistics;

/// <summary>A snapshot of a histogram with cumulative counts, as in the Prometheus format.</summary>
/// <param name="Bounds">Upper bounds, without the last one, which is infinite.</param>
/// <param name="Below">Number of values at or below each bound.</param>
/// <param name="Sum">Sum of all values.</param>
public sealed record HistogramView(IReadOnlyList<double> Bounds, IReadOnlyList<long> Below, double Sum)
{
    /// <summary>Returns the same histogram with fewer bounds. All of them must be bounds of this one.</summary>
    public HistogramView Select(IReadOnlyList<double> bounds)
    {
        var below = new long[bounds.Count + 1];
        var from = 0;
        for (var i = 0; i < bounds.Count; i++)
        {
            while (Bounds[from] < bounds[i]) from++;
            below[i] = Below[from];
        }

        below[^1] = Below[^1];
        return new HistogramView(bounds, below, Sum);
    }
}
