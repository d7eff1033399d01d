using Sluice.Worker.Api;
using Sluice.Worker.Statistics;

namespace Sluice.Worker.Tests;

public sealed class PrometheusTextTest
{
    [Fact]
    public void Label_values_are_escaped()
    {
        var text = new PrometheusText();
        text.StartFamily("requests_total", "counter", "Requests.");
        text.WriteSample(3, ("model", "a\"b\\c\nd"), ("result", "fail"));
        Assert.Equal("""
            # HELP requests_total Requests.
            # TYPE requests_total counter
            requests_total{model="a\"b\\c\nd",result="fail"} 3

            """, text.ToString());
    }

    [Theory]
    [InlineData(0.001, "0.001")]
    [InlineData(0.3, "0.3")]
    [InlineData(1, "1.0")]
    [InlineData(7680, "7680.0")]
    [InlineData(500_000, "500000.0")]
    [InlineData(1_000_000, "1e+06")]
    [InlineData(20_000_000, "2e+07")]
    public void Bounds_are_formatted_as_by_the_Python_client_for_the_names_of_vLLM(double bound, string text) =>
        Assert.Equal(text, VllmMetrics.Format(bound));

    [Fact]
    public void A_histogram_with_fewer_bounds_has_the_same_counts_at_them()
    {
        var all = new Histogram([1, 2, 3, 4]);
        foreach (var value in new[] { 0.5, 2, 2.5, 3.5, 9 }) all.Add(value);
        var some = all.View().Select([2, 4]);
        Assert.Equal([2, 4, 5], some.Below);
        Assert.Equal([2, 4], some.Bounds);
        Assert.Equal(17.5, some.Sum);
    }

    [Fact]
    public void Histogram_buckets_are_cumulative_and_a_sample_without_labels_has_no_braces()
    {
        var (text, rows) = (new PrometheusText(), new Histogram([0.5, 2]));
        foreach (var value in new[] { 0.5, 1, 7 }) rows.Add(value);
        text.StartFamily("rows", "histogram", "Rows.");
        text.WriteHistogram(rows.View());
        text.WriteHistogram(rows.View(), ("model", "\""));
        Assert.Equal("""
            # HELP rows Rows.
            # TYPE rows histogram
            rows_bucket{le="0.5"} 1
            rows_bucket{le="2"} 2
            rows_bucket{le="+Inf"} 3
            rows_sum 8.5
            rows_count 3
            rows_bucket{model="\"",le="0.5"} 1
            rows_bucket{model="\"",le="2"} 2
            rows_bucket{model="\"",le="+Inf"} 3
            rows_sum{model="\""} 8.5
            rows_count{model="\""} 3

            """, text.ToString());
    }
}
