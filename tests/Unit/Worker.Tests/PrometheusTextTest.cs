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
