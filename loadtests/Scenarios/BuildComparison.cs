using System.Globalization;
using System.Text;
using Sluice.LoadGenerator;

namespace Sluice.Scenarios;

/// <summary>
/// Compares two published builds in one run. Both run at the same time. Each round measures both, one after the other,
/// and the next round in the opposite order. So a change of the machine's speed affects both builds.
/// </summary>
public sealed class BuildComparison
{
    private const double LowShare = 0.05;
    private const double HighShare = 0.95;

    private readonly ScenarioOptions options;
    private readonly StringBuilder report;

    /// <param name="scenario">Name of the scenario.</param>
    /// <param name="options">The options; the older build is given.</param>
    public BuildComparison(string scenario, ScenarioOptions options)
    {
        this.options = options;
        var before = options.Before ?? throw new ArgumentException("--before is missing");
        report = new StringBuilder($"# {scenario}: two builds\n\n")
            .Append(Machine.Describe($"Scenarios {scenario} --before .../run"))
            .Append("Before: ").Append(Version(before))
            .Append(". After: ").Append(Version(PublishedBuild.Current)).Append(".\n")
            .Append(CultureInfo.InvariantCulture, $"{options.Rounds} counted rounds, alternating; medians. ")
            .Append("after / before: median of each round's own ratio, with its 5th to 95th percentile; ")
            .Append("in brackets, the 95 % confidence interval of this median (from ranks, for any distribution).\n");
    }

    /// <summary>Adds a heading and the head of a table of <see cref="AddRows"/>.</summary>
    public void AddTable(string title) => report.Append("\n## ").Append(title)
        .Append("\n\n| | before | after | after / before |\n|---|---|---|---|\n");

    /// <summary>Measures both builds for all rounds.</summary>
    /// <param name="warmUp">Rounds before them that are not counted.</param>
    /// <param name="measureAsync">Returns the figures of one build in one round.</param>
    /// <returns>One element per counted round.</returns>
    public async Task<IReadOnlyList<(T Before, T After)>> RunAsync<T>(
        int warmUp,
        Func<PublishedBuild, Task<T>> measureAsync,
        CancellationToken ct)
    {
        var (before, after) = (options.Before!, PublishedBuild.Current);
        var rounds = new List<(T Before, T After)>();
        for (var round = 0; round < warmUp + options.Rounds; round++)
        {
            ct.ThrowIfCancellationRequested();
            var isBeforeFirst = round % 2 == 0;
            var first = await measureAsync(isBeforeFirst ? before : after);
            var second = await measureAsync(isBeforeFirst ? after : before);
            if (round >= warmUp) rounds.Add(isBeforeFirst ? (first, second) : (second, first));
        }

        return rounds;
    }

    /// <summary>Adds a row to the table: the medians of both builds and the ratio.</summary>
    /// <param name="name">Name and unit of the figure.</param>
    /// <param name="rounds">The rounds.</param>
    /// <param name="value">Selects the figure.</param>
    /// <param name="format">Number format of the medians.</param>
    public void AddRow<T>(
        string name,
        IReadOnlyList<(T Before, T After)> rounds,
        Func<T, double> value,
        string format = "n0")
    {
        var ratios = rounds.Select(r => value(r.After) / value(r.Before)).Where(double.IsFinite).Order().ToList();
        var spread = ratios.Count == 0
            ? ""
            : string.Create(
                CultureInfo.InvariantCulture,
                $"{Share(ratios, 0.5):0.000} ({Share(ratios, LowShare):0.000}-{Share(ratios, HighShare):0.000}) "
                + $"{IntervalOfMedian(ratios)}");
        report.Append("| ").AppendJoin(" | ", name, Median(r => r.Before), Median(r => r.After), spread).Append(" |\n");

        string Median(Func<(T Before, T After), T> build) =>
            Share([.. rounds.Select(r => value(build(r))).Order()], 0.5).ToString(format, CultureInfo.InvariantCulture);
    }

    /// <summary>Prints the report and writes the output file.</summary>
    public async Task WriteAsync(CancellationToken ct)
    {
        Console.WriteLine(report);
        if (options.Out is { } file) await File.WriteAllTextAsync(file, report.ToString(), ct);
    }

    /// <summary>Returns the value that this share of the sorted values does not exceed (nearest rank).</summary>
    private static double Share(List<double> sorted, double share) =>
        sorted[Math.Max(0, (int)Math.Ceiling(share * sorted.Count) - 1)];

    /// <summary>
    /// Returns the 95 % confidence interval of the median. Its ranks are those of the normal approximation of a
    /// binomial distribution (Conover, Practical Nonparametric Statistics, 3rd edition, section 3.2).
    /// </summary>
    private static string IntervalOfMedian(List<double> sorted)
    {
        var half = 0.98 * Math.Sqrt(sorted.Count);
        var low = Math.Max(1, (int)Math.Floor(sorted.Count / 2.0 - half));
        var high = Math.Min(sorted.Count, (int)Math.Ceiling(1 + sorted.Count / 2.0 + half));
        return string.Create(CultureInfo.InvariantCulture, $"[{sorted[low - 1]:0.000}-{sorted[high - 1]:0.000}]");
    }

    private static string Version(PublishedBuild build) =>
        System.Diagnostics.FileVersionInfo.GetVersionInfo(build.Gateway + ".dll").ProductVersion ?? "unknown version";
}
