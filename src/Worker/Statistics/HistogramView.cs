namespace Sluice.Worker.Statistics;

/// <summary>A snapshot of a histogram with cumulative counts, as in the Prometheus format.</summary>
/// <param name="Bounds">Upper bounds, without the last one, which is infinite.</param>
/// <param name="Below">Number of values at or below each bound.</param>
/// <param name="Sum">Sum of all values.</param>
public sealed record HistogramView(IReadOnlyList<double> Bounds, IReadOnlyList<long> Below, double Sum);
