namespace Sluice.Domain.Series;

/// <summary>
/// A histogram of durations with fixed buckets on a logarithmic scale, so that the histograms of all gateways can be
/// added. Eight buckets double the duration, so a quantile is at most 5 % from the true one, from 0.06 ms to 70 min.
/// Not thread-safe.
/// </summary>
public sealed class LogHistogram
{
    /// <summary>The number of buckets: one for shorter durations, and eight for each of 26 octaves.</summary>
    public const int Buckets = 1 + (26 * PerOctave);

    private const int PerOctave = 8;

    /// <summary>The second bucket begins at 2^-4 ms.</summary>
    private const int FirstOctave = -4;

    private readonly SortedDictionary<int, long> counts = [];

    /// <summary>The number of durations.</summary>
    public long Count { get; private set; }

    /// <summary>The buckets that have durations, in ascending order, with their numbers.</summary>
    public IReadOnlyDictionary<int, long> Counts => counts;

    /// <summary>Adds a duration.</summary>
    public void Add(TimeSpan duration) => Add(BucketOf(duration.TotalMilliseconds), 1);

    /// <summary>Adds durations of a bucket.</summary>
    public void Add(int bucket, long count)
    {
        counts[bucket] = counts.GetValueOrDefault(bucket) + count;
        Count += count;
    }

    /// <summary>Adds the durations of another histogram.</summary>
    public void Add(LogHistogram other)
    {
        foreach (var (bucket, count) in other.counts) Add(bucket, count);
    }

    /// <summary>Returns a quantile in ms, with three digits; null: the histogram is empty.</summary>
    /// <param name="part">The part of the durations that are not longer, from 0 to 1.</param>
    public double? Quantile(double part)
    {
        var rank = Math.Max(1, (long)Math.Ceiling(part * Count));
        foreach (var (bucket, count) in counts)
        {
            rank -= count;
            if (rank <= 0) return ValueOf(bucket);
        }

        return null;
    }

    /// <summary>Returns the bucket of a duration.</summary>
    public static int BucketOf(double ms)
    {
        if (!(ms >= Math.ScaleB(1, FirstOctave))) return 0;
        return 1 + (int)Math.Min(Buckets - 2, (Math.Log2(ms) - FirstOctave) * PerOctave);
    }

    /// <summary>Returns the middle of a bucket, in ms.</summary>
    private static double ValueOf(int bucket)
    {
        if (bucket == 0) return 0;
        var value = Math.Pow(2, FirstOctave + ((bucket - 0.5) / PerOctave));
        return Math.Round(value, value < 1 ? 3 : value < 10 ? 2 : value < 100 ? 1 : 0);
    }
}
