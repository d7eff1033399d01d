using Sluice.Gateway.Observability;

namespace Sluice.Gateway.Tests.Operations;

/// <summary>Tests the merge of several workers' metrics, and which lines of an arbitrary worker are omitted.</summary>
public sealed class ScrapeMergeTest
{
    [Fact]
    public void Each_family_appears_once_with_the_samples_of_all_workers()
    {
        const string one = """
            # HELP runs_total Runs of the model.
            # TYPE runs_total counter
            runs_total{model="m",version="1"} 3
            # HELP lag_seconds How late.
            # TYPE lag_seconds histogram
            lag_seconds_bucket{le="0.1"} 1
            lag_seconds_bucket{le="+Inf"} 2
            lag_seconds_sum 1.5
            lag_seconds_count 2
            """;
        const string two = "# HELP runs_total Another text.\n# TYPE runs_total counter\n"
            + "runs_total{model=\"m\",version=\"1\"} 4 1700000000000\n";
        Assert.Equal("""
            # HELP sluice_worker_scrape_up 1 if the worker returned its metrics, 0 if it did not within the timeout.
            # TYPE sluice_worker_scrape_up gauge
            sluice_worker_scrape_up{endpoint="a",pod="a-1"} 1
            sluice_worker_scrape_up{endpoint="a",pod="a-2"} 0
            sluice_worker_scrape_up{endpoint="b",pod="b-1"} 1
            # HELP lag_seconds How late.
            # TYPE lag_seconds histogram
            lag_seconds_bucket{endpoint="a",pod="a-1",le="0.1"} 1
            lag_seconds_bucket{endpoint="a",pod="a-1",le="+Inf"} 2
            lag_seconds_sum{endpoint="a",pod="a-1"} 1.5
            lag_seconds_count{endpoint="a",pod="a-1"} 2
            # HELP runs_total Runs of the model.
            # TYPE runs_total counter
            runs_total{endpoint="a",pod="a-1",model="m",version="1"} 3
            runs_total{endpoint="b",pod="b-1",model="m",version="1"} 4 1700000000000

            """,
            ScrapeMerge.Write(
            [
                new Scrape("b", "b-1", two),
                new Scrape("a", "a-2", null),
                new Scrape("a", "a-1", one),
            ]));
    }

    [Fact]
    public void A_family_keeps_the_type_of_its_first_scrape()
    {
        var merged = ScrapeMerge.Write(
        [
            new Scrape("a", "a-1", "# TYPE x gauge\nx 1\n"),
            new Scrape("b", "b-1", "# TYPE x counter\nx 2\ny 3\n"),
        ]);
        Assert.Contains(
            "\n# TYPE x gauge\nx{endpoint=\"a\",pod=\"a-1\"} 1\n# TYPE y untyped\ny{endpoint=\"b\",pod=\"b-1\"} 3\n",
            merged,
            StringComparison.Ordinal);
        Assert.Contains(
            "sluice_worker_scrape_left_out_lines{endpoint=\"b\",pod=\"b-1\"} 1\n",
            merged,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(
        """x{endpoint="mine",pod="\"}, {",q="\\"} 1""",
        """x{endpoint="a",pod="a-1",exported_endpoint="mine",exported_pod="\"}, {",q="\\"} 1""")]
    [InlineData("""x { a = "1" , } 0x""", null)]
    [InlineData("""x { b ="1" } 1""", """x{endpoint="a",pod="a-1",b="1"} 1""")]
    [InlineData("""x{b="1",} +Inf""", """x{endpoint="a",pod="a-1",b="1"} +Inf""")]
    [InlineData("x{} NaN", """x{endpoint="a",pod="a-1"} NaN""")]
    [InlineData("x\t-1.5e-3", """x{endpoint="a",pod="a-1"} -1.5e-3""")]
    [InlineData("""x{b="1" 1""", null)]
    [InlineData("""x{b="1""", null)]
    [InlineData("""x{b="1\""", null)]
    [InlineData("""x{b="1"c="2"} 1""", null)]
    [InlineData("""x{b="1",b="2"} 1""", null)]
    [InlineData("""x{__name__="sluice_requests_total"} 1""", null)]
    [InlineData("""x{b:c="1"} 1""", null)]
    [InlineData("x{", null)]
    [InlineData("x", null)]
    [InlineData("x 1 soon", null)]
    [InlineData("x 1,000", null)]
    [InlineData("1x 1", null)]
    [InlineData("<html><body>no metrics</body></html>", null)]
    [InlineData("""sluice_worker_scrape_up{endpoint="b",pod="b-1"} 0""", null)]
    public void Only_complete_samples_are_merged_and_only_with_the_labels_of_their_worker(string line, string? passes)
    {
        var merged = ScrapeMerge.Write([new Scrape("a", "a-1", line)])
            .Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(passes is null ? Array.Empty<string>() : new[] { passes },
            merged.Where(l => l[0] != '#' && !l.StartsWith("sluice_worker_scrape_", StringComparison.Ordinal)));
        Assert.Equal(
            passes is null,
            merged.Contains("""sluice_worker_scrape_left_out_lines{endpoint="a",pod="a-1"} 1"""));
        Assert.Single(merged, l => l.StartsWith("sluice_worker_scrape_up{", StringComparison.Ordinal));
    }
}
