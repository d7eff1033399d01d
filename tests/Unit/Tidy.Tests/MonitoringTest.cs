using System.Text.RegularExpressions;
using Sluice.Testing;

namespace Sluice.Tidy.Tests;

/// <summary>The alert rules and dashboards in <c>deploy</c>: their metrics exist, and promtool accepts them.</summary>
public sealed partial class MonitoringTest
{
    private static readonly string Rules = Path.Combine(Repository.Root, "deploy", "prometheus", "alerts.yml");

    private static readonly string Unit = Path.Combine(Repository.Root, "deploy", "prometheus", "alerts_test.yml");

    private static readonly Lazy<IReadOnlySet<string>> Documented = new(() =>
        Documents.Of("docs/reference/metrics.md").FirstCells().Select(c => MetricName().Match(c))
            .Where(m => m.Success).Select(m => m.Groups[1].Value).ToHashSet());

    public static TheoryData<string> Names =>
        [.. GrafanaDashboard.All.Select(d => d.Name).Order(StringComparer.Ordinal)];

    [Fact]
    public void The_dashboards_are_those_that_the_page_lists()
    {
        Assert.Equal(["endpoint", "llm", "overview", "redis"], Names.Select(n => n.Data));
        var page = Documents.Of("docs/operations/monitoring.md").Text;
        Assert.All(Names, n => Assert.Contains($"`{n.Data}.json`", page, StringComparison.Ordinal));
        Assert.Equal(4, GrafanaDashboard.All.Select(d => d.Uid).Distinct().Count());
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_dashboard_follows_the_rules_of_the_linter(string name) =>
        Assert.Empty(GrafanaDashboard.All.Single(d => d.Name == name).FindErrors());

    [Theory]
    [MemberData(nameof(Names))]
    public void A_dashboard_uses_only_documented_metrics(string name)
    {
        var used = GrafanaDashboard.All.Single(d => d.Name == name).Queries().SelectMany(MetricsOf).ToHashSet();
        Assert.NotEmpty(used);
        Assert.Empty(used.Except(Documented.Value));
    }

    [Fact]
    public void Each_alert_has_a_test_that_fires_it_and_one_that_does_not()
    {
        var alerts = Alert().Matches(File.ReadAllText(Rules)).Select(m => m.Groups[1].Value).ToList();
        Assert.True(alerts.Count > 10);
        Assert.Equal(alerts.Distinct(), alerts);
        var tests = TestName().Matches(File.ReadAllText(Unit)).Select(m => (m.Groups[1].Value, m.Groups[2].Value));
        Assert.Equal(alerts.SelectMany(a => new[] { (a, "fires"), (a, "does not fire") }).Order(), tests.Order());
        Assert.Empty(MetricsOf(File.ReadAllText(Rules)).Except(Documented.Value));
        var page = Documents.Of("docs/operations/monitoring.md").FirstCells("Alerts").ToList();
        Assert.Equal(alerts.Select(a => $"`{a}`").Order(StringComparer.Ordinal), page.Where(c => c.StartsWith("`S",
            StringComparison.Ordinal)).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Each_runbook_of_an_alert_exists()
    {
        var runbooks = Runbook().Matches(File.ReadAllText(Rules)).Select(m => m.Groups[1].Value).ToHashSet();
        Assert.NotEmpty(runbooks);
        foreach (var runbook in runbooks)
        {
            var parts = runbook.Split('#');
            var headings = Documents.Of(parts[0]).Text.Split('\n').Where(l => l.StartsWith('#'))
                .Select(l => l.TrimStart('#').Trim().ToLowerInvariant().Replace(' ', '-').Replace("?", ""));
            Assert.True(parts.Length == 1 || headings.Contains(parts[1]), runbook);
        }
    }

    [Fact]
    public async Task Promtool_accepts_the_rules_and_their_tests_pass()
    {
        Require.Program("promtool", "prometheus");
        await RunAsync("check", "rules", Rules);
        await RunAsync("test", "rules", Unit);
    }

    [Fact]
    public async Task Promtool_parses_each_query_of_the_dashboards()
    {
        Require.Program("promtool", "prometheus");
        var file = Path.GetTempFileName();
        var lines = GrafanaDashboard.All.SelectMany(d => d.Queries()).Select((q, i) =>
            $"- {{ record: 'query:{i}', expr: '{Constant(q)}' }}");
        await File.WriteAllTextAsync(file, $"groups:\n- name: dashboards\n  rules:\n  {string.Join("\n  ", lines)}\n");
        await RunAsync("check", "rules", file);
        File.Delete(file);

        static string Constant(string query) =>
            Variable().Replace(query.Replace("$__rate_interval", "5m", StringComparison.Ordinal), ".+")
                .Replace("'", "''", StringComparison.Ordinal);
    }

    private static async Task RunAsync(params string[] arguments)
    {
        await using var promtool = new ChildProcess("promtool", arguments, new Dictionary<string, string?>());
        var code = await promtool.ExitAsync();
        Assert.True(code == 0 && promtool.Output.Contains("SUCCESS", StringComparison.Ordinal), promtool.Output);
    }

    /// <summary>Returns the metrics of Sluice that a text names, without the suffixes of histograms.</summary>
    private static IEnumerable<string> MetricsOf(string text) => Metric().Matches(text).Select(m => m.Groups[1].Value);

    [GeneratedRegex("`(sluice_[a-z_]+|vllm:[a-z0-9_]+)`")]
    private static partial Regex MetricName();

    [GeneratedRegex(@"\b(sluice_[a-z_]+?)(?:_bucket|_sum|_count)?\b")]
    private static partial Regex Metric();

    [GeneratedRegex(@"- alert: (\w+)")]
    private static partial Regex Alert();

    [GeneratedRegex(@"- name: (\w+) (fires|does not fire)\b")]
    private static partial Regex TestName();

    [GeneratedRegex(@"runbook: (docs/\S+)")]
    private static partial Regex Runbook();

    [GeneratedRegex(@"\$\w+")]
    private static partial Regex Variable();
}
