namespace Sluice.LoadGenerator;

/// <summary>
/// Latencies in microseconds, kept to better than 1 %: 128 linear steps in each power of two (the layout of HdrHistogram).
/// One writer; merge for a total.
/// </summary>
public sealed class Histogram
{
    private const int StepBits = 7;
    private const int Steps = 1 << StepBits;
    private const int Powers = 40;

    private readonly long[] counts = new long[Steps * Powers];

    public long Count { get; private set; }

    public void Record(TimeSpan latency)
    {
        counts[IndexOf((long)Math.Max(0, latency.TotalMicroseconds))]++;
        Count++;
    }

    public void Merge(Histogram other)
    {
        for (var i = 0; i < counts.Length; i++) counts[i] += other.counts[i];
        Count += other.Count;
    }

    /// <summary>The latency, in us, that this share of all did not exceed; 0 when there is none.</summary>
    public double Quantile(double share)
    {
        if (Count == 0) return 0;
        var wanted = Math.Max(1, (long)Math.Ceiling(share * Count));
        long seen = 0;
        for (var i = 0; i < counts.Length; i++)
        {
            seen += counts[i];
            if (seen >= wanted) return ValueOf(i);
        }

        return ValueOf(counts.Length - 1);
    }

    private static int IndexOf(long us)
    {
        if (us < Steps) return (int)us;
        var power = 63 - System.Numerics.BitOperations.LeadingZeroCount((ulong)us) - StepBits;
        return Math.Min(Steps * (power + 1) + (int)((us >> power) - Steps), Steps * Powers - 1);
    }

    private static double ValueOf(int index)
    {
        if (index < Steps) return index;
        var power = index / Steps - 1;
        return (double)(Steps + index % Steps) * (1L << power) + (1L << power) / 2.0;
    }
}
