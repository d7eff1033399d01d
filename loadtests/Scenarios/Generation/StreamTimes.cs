namespace Sluice.Scenarios.Generation;

/// <summary>The times of concurrent streams.</summary>
/// <param name="Streams">For each stream, the time from its request to each of its events.</param>
/// <param name="Total">The time until all streams ended.</param>
internal sealed record StreamTimes(TimeSpan[][] Streams, TimeSpan Total)
{
    /// <summary>Median time to the first token, in milliseconds.</summary>
    public double FirstToken => Quantile(Streams.Select(s => s[0].TotalMilliseconds), 0.5);

    /// <summary>
    /// Returns the time between two tokens that a share of all such times does not exceed, in milliseconds.
    /// </summary>
    public double Gap(double share) =>
        Quantile(Streams.SelectMany(s => s.Zip(s.Skip(1), (a, b) => (b - a).TotalMilliseconds)), share);

    private static double Quantile(IEnumerable<double> values, double share)
    {
        var sorted = values.Order().ToList();
        return sorted.Count == 0 ? double.NaN : sorted[Math.Max(0, (int)Math.Ceiling(share * sorted.Count) - 1)];
    }
}
