using HdrHistogram;

namespace Sluice.LoadGenerator;

/// <summary>
/// Records durations in an HdrHistogram, in microseconds. Two significant digits keep an error below 1 %, with 128
/// linear steps in each power of two and 26 KB per histogram: each connection has three.
/// </summary>
public static class Latencies
{
    private const int Digits = 2;

    /// <summary>A longer latency counts as this one.</summary>
    private static readonly long Longest = (long)TimeSpan.FromHours(1).TotalMicroseconds;

    /// <summary>Returns an empty histogram. It has one writer; add histograms for a total.</summary>
    public static LongHistogram Create() => new(Longest, Digits);

    public static void Record(this LongHistogram histogram, TimeSpan latency) =>
        histogram.RecordValue(Math.Clamp((long)latency.TotalMicroseconds, 0, Longest));

    /// <summary>Returns the latency, in us, that this share of all did not exceed; 0 if there is none.</summary>
    public static double Quantile(this LongHistogram histogram, double share) =>
        histogram.TotalCount == 0 ? 0 : histogram.GetValueAtPercentile(100 * share);
}
