using System.Diagnostics.Metrics;
using Sluice.Gateway.Observability;

namespace Sluice.Gateway.Tests.Operations;

public sealed class PrometheusTextTest
{
    [Theory]
    [InlineData("sluice.requests", "{request}", "counter", "sluice_requests_total")]
    [InlineData("sluice.request.wait", "s", "histogram", "sluice_request_wait_seconds")]
    [InlineData("dotnet.process.memory.working_set", "By", "gauge", "dotnet_process_memory_working_set_bytes")]
    [InlineData("dotnet.timer.count", "{timer}", "gauge", "dotnet_timer")]
    [InlineData("a.fraction", "1", "gauge", "a_fraction_ratio")]
    public void Names_and_units_follow_the_conventions(string instrument, string unit, string type, string name) =>
        Assert.Equal(name, PrometheusText.Name(instrument, unit, type));

    [Fact]
    public void Histogram_buckets_are_cumulative_and_labels_are_escaped()
    {
        using var meter = new Meter("test");
        var family = new MetricFamily(meter.CreateHistogram("lag", "s", "How late \"it\" is.", null,
            new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.1, 1] }));
        KeyValuePair<string, object?>[] tags = [new("endpoint", "a\"b\\c\nd")];
        foreach (var value in new[] { 0.05, 0.1, 0.5, 3 }) family.Record(value, tags);

        Assert.Equal("""
            # HELP lag_seconds How late \"it\" is.
            # TYPE lag_seconds histogram
            lag_seconds_bucket{endpoint="a\"b\\c\nd",le="0.1"} 2
            lag_seconds_bucket{endpoint="a\"b\\c\nd",le="1"} 3
            lag_seconds_bucket{endpoint="a\"b\\c\nd",le="+Inf"} 4
            lag_seconds_sum{endpoint="a\"b\\c\nd"} 3.65
            lag_seconds_count{endpoint="a\"b\\c\nd"} 4

            """, PrometheusText.Write([family]));
    }
}
