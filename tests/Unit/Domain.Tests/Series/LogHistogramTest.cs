using Sluice.Domain.Series;

namespace Sluice.Domain.Tests.Series;

public sealed class LogHistogramTest
{
    [Fact]
    public void Quantiles_are_near_those_of_the_durations()
    {
        var random = new Random(7);
        var durations = Enumerable.Range(0, 10_000).Select(_ => Math.Exp((random.NextDouble() * 12) - 2)).ToList();
        var histogram = Of(durations);
        durations.Sort();
        foreach (var part in new[] { 0.01, 0.5, 0.95, 0.99, 1 })
        {
            var expected = durations[(int)Math.Ceiling(part * durations.Count) - 1];
            Assert.InRange(histogram.Quantile(part)!.Value, expected * 0.94, expected * 1.06);
        }
    }

    [Fact]
    public void The_sum_of_histograms_is_the_histogram_of_all_durations()
    {
        var (one, other) = (Of([1, 2, 3, 400]), Of([5000, 0.01, 2]));
        one.Add(other);
        Assert.Equal(Of([1, 2, 3, 400, 5000, 0.01, 2]).Counts, one.Counts);
        Assert.Equal(7, one.Count);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0.0624)]
    [InlineData(-1)]
    [InlineData(double.NaN)]
    public void The_shortest_durations_have_one_bucket(double ms) => Assert.Equal(0, LogHistogram.BucketOf(ms));

    [Fact]
    public void Longer_durations_have_later_buckets_and_the_last_has_no_end()
    {
        var last = 0;
        for (var ms = 0.0625; ms < 5_000_000; ms *= 1.1)
        {
            var bucket = LogHistogram.BucketOf(ms);
            Assert.InRange(bucket, last, Math.Min(last + 2, LogHistogram.Buckets - 1));
            last = bucket;
        }

        Assert.Equal(LogHistogram.Buckets - 1, LogHistogram.BucketOf(double.MaxValue));
        Assert.Equal(LogHistogram.Buckets - 1, LogHistogram.BucketOf(double.PositiveInfinity));
    }

    [Fact]
    public void An_empty_histogram_has_no_quantile()
    {
        Assert.Null(new LogHistogram().Quantile(0.5));
        Assert.Equal(0, Of([0]).Quantile(0.95));
    }

    private static LogHistogram Of(IEnumerable<double> durations)
    {
        var histogram = new LogHistogram();
        foreach (var ms in durations) histogram.Add(TimeSpan.FromMilliseconds(ms));
        return histogram;
    }
}
