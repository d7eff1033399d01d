using System.Diagnostics.Metrics;
using System.Text;
using Sluice.Gateway.Observability;

namespace Sluice.Gateway.Tests.Operations;

public sealed class MetricsCollectorTest : IDisposable
{
    private readonly MetricsCollector collector = new();
    private readonly Meter meter = new("Sluice.Tests." + Guid.NewGuid());

    public void Dispose()
    {
        collector.Dispose();
        meter.Dispose();
    }

    [Theory]
    [InlineData("sluice.requests", "{request}", nameof(MetricKind.Counter), "sluice_requests_total")]
    [InlineData("sluice.request.wait", "s", nameof(MetricKind.Histogram), "sluice_request_wait_seconds")]
    [InlineData("dotnet.process.memory.working_set", "By", nameof(MetricKind.Gauge),
        "dotnet_process_memory_working_set_bytes")]
    [InlineData("dotnet.timer.count", "{timer}", nameof(MetricKind.Gauge), "dotnet_timer")]
    [InlineData("a.fraction", "1", nameof(MetricKind.Gauge), "a_fraction_ratio")]
    public void Names_and_units_follow_the_conventions(string instrument, string unit, string kind, string name) =>
        Assert.Equal(name, PrometheusName.Format(instrument, unit, Enum.Parse<MetricKind>(kind)));

    [Fact]
    public async Task Histogram_buckets_are_cumulative_and_texts_are_escaped()
    {
        await collector.StartAsync(CancellationToken.None);
        var lag = meter.CreateHistogram("test.lag", "s", "How late \"it\" is,\nwith \\.", null,
            new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.1, 1] });
        foreach (var value in new[] { 0.05, 0.1, 0.5, 3 })
            lag.Record(value, new KeyValuePair<string, object?>("endpoint.id", "a\"b\\c\nd"));

        string[] expected =
        [
            """# HELP test_lag_seconds How late "it" is,\nwith \\.""",
            """# TYPE test_lag_seconds histogram""",
            """test_lag_seconds_bucket{endpoint_id="a\"b\\c\nd",le="+Inf"} 4""",
            """test_lag_seconds_bucket{endpoint_id="a\"b\\c\nd",le="0.1"} 2""",
            """test_lag_seconds_bucket{endpoint_id="a\"b\\c\nd",le="1"} 3""",
            """test_lag_seconds_count{endpoint_id="a\"b\\c\nd"} 4""",
            """test_lag_seconds_sum{endpoint_id="a\"b\\c\nd"} 3.65""",
        ];
        Assert.Equal(expected, await LinesAsync("test_lag"));
    }

    [Fact]
    public async Task A_fifth_label_is_an_error_of_its_developer_and_dropped_only_for_instruments_of_others()
    {
        await collector.StartAsync(CancellationToken.None);
        KeyValuePair<string, object?>[] labels =
            [.. "abcde".Select(l => new KeyValuePair<string, object?>(l.ToString(), $"{l}{l}"))];
        var own = meter.CreateCounter<long>("test.labels", "{request}", "Labels.");
        own.Add(1, labels[..4]);
        var error = Assert.Throws<ArgumentException>(() => own.Add(1, labels));
        Assert.StartsWith("Metric test_labels_total has 5 labels (a, b, c, d, e); expected at most 4, because further "
            + "ones would be lost.", error.Message, StringComparison.Ordinal);
        Assert.Equal(["""test_labels_total{a="aa",b="bb",c="cc",d="dd"} 1"""], await SamplesAsync("test_labels"));

        using var other = new Meter("Microsoft.AspNetCore.Server.Kestrel");
        other.CreateCounter<long>("test.others", "{request}", "Labels.").Add(2, labels);
        Assert.Equal(["""test_others_total{a="aa",b="bb",c="cc",d="dd"} 2"""], await SamplesAsync("test_others"));
    }

    [Fact]
    public async Task An_observed_label_set_that_no_longer_exists_is_not_exported_again()
    {
        await collector.StartAsync(CancellationToken.None);
        List<Measurement<long>> seen = [Of(7, "a"), Of(8, "b")];
        meter.CreateObservableGauge("test.depth", () => seen, "{request}", "Depth.");
        Assert.Equal(["""test_depth{endpoint="a"} 7""", """test_depth{endpoint="b"} 8"""],
            await SamplesAsync("test_depth"));

        seen = [Of(9, "b")];
        Assert.Equal(["""test_depth{endpoint="b"} 9"""], await SamplesAsync("test_depth"));

        seen = [];
        Assert.Empty(await SamplesAsync("test_depth"));
        Assert.Equal(["# HELP test_depth Depth.", "# TYPE test_depth gauge"], await LinesAsync("test_depth"));
    }

    [Fact]
    public async Task A_series_has_the_labels_of_its_measurement_and_an_unused_metric_has_no_series()
    {
        await collector.StartAsync(CancellationToken.None);
        var used = meter.CreateCounter<long>("test.used");
        meter.CreateCounter<long>("test.unused");
        meter.CreateObservableCounter("test.observed", () => 4);
        used.Add(2);
        used.Add(3, new KeyValuePair<string, object?>("error.type", "timeout"));

        Assert.Equal(["""test_used_total 2""", """test_used_total{error_type="timeout"} 3"""],
            await SamplesAsync("test_used_total"));
        Assert.Equal(["# HELP test_unused_total test.unused", "# TYPE test_unused_total counter"],
            await LinesAsync("test_unused"));
        Assert.Equal(["test_observed_total 4"], await SamplesAsync("test_observed_total"));
        Assert.Equal(["test_observed_total 4"], await SamplesAsync("test_observed_total"));
    }

    [Fact]
    public async Task A_metric_has_at_most_5000_label_sets()
    {
        await collector.StartAsync(CancellationToken.None);
        var counter = meter.CreateCounter<long>("test.many");
        for (var i = 0; i < 5100; i++) counter.Add(1, new KeyValuePair<string, object?>("name", i));
        Assert.Equal(5000, (await SamplesAsync("test_many_total")).Count);
    }

    private static Measurement<long> Of(long value, string endpoint) =>
        new(value, new KeyValuePair<string, object?>("endpoint", endpoint));

    /// <summary>The samples whose name starts with a text.</summary>
    private async Task<IReadOnlyList<string>> SamplesAsync(string start) =>
        [.. (await LinesAsync(start)).Where(l => !l.StartsWith('#'))];

    /// <summary>The comments and samples of the metrics whose name starts with a text, sorted.</summary>
    private async Task<IReadOnlyList<string>> LinesAsync(string start) =>
    [
        .. Encoding.UTF8.GetString(await collector.CollectAsync(CancellationToken.None)).Split('\n')
            .Where(l => l.StartsWith(start, StringComparison.Ordinal)
                || l.StartsWith("# HELP " + start, StringComparison.Ordinal)
                || l.StartsWith("# TYPE " + start, StringComparison.Ordinal))
            .Order(StringComparer.Ordinal),
    ];
}
