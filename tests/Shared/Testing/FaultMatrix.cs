using System.Globalization;

namespace Sluice.Testing;

/// <summary>
/// Collects what tests observe for the rows of the fault matrix (<c>eng/fault-matrix.tsv</c> lists each fault and its
/// expected effect). <c>make test</c> injects each fault a few times. <c>make faults</c> injects it as often as its row
/// requires, and creates a table of the observations.
/// </summary>
public static class FaultMatrix
{
    private static readonly Lock Gate = new();

    /// <summary>
    /// The file in which <c>make faults</c> collects the observations; each line is "row, tab, observation".
    /// </summary>
    private static readonly string? ResultFile = Environment.GetEnvironmentVariable("SLUICE_FAULTS");

    /// <summary>Whether faults are injected as often as the matrix requires.</summary>
    public static bool Whole => ResultFile is not null;

    /// <summary>Returns how often a fault is injected: a few times, or as often as the matrix requires.</summary>
    public static int Count(int some, int whole) => Whole ? whole : some;

    /// <summary>
    /// Records an observation, in one text or several. Call it after the checks, so that only confirmed observations
    /// are recorded.
    /// </summary>
    public static void Seen(string row, params FormattableString[] figures)
    {
        var line = $"{row}\t{string.Concat(figures.Select(f => f.ToString(CultureInfo.InvariantCulture)))}";
        Console.WriteLine(line);
        if (ResultFile is null) return;
        lock (Gate) File.AppendAllText(ResultFile, line + "\n");
    }

    /// <summary>Formats times in seconds as text: "p50 0.02, p99 0.90, most 1.20 (n 200)".</summary>
    public static string Spread(IEnumerable<double> seconds)
    {
        var sorted = seconds.Order().ToList();
        if (sorted.Count == 0) return "none";
        var (p50, p99) = (At(sorted, 0.5), At(sorted, 0.99));
        return string.Create(CultureInfo.InvariantCulture,
            $"p50 {p50:0.00} s, p99 {p99:0.00} s, most {sorted[^1]:0.00} s (n {sorted.Count})");
    }

    /// <summary>Returns the value below which this share of the sorted values is.</summary>
    public static double At(IReadOnlyList<double> sorted, double share) =>
        sorted[Math.Min(sorted.Count - 1, (int)(share * sorted.Count))];
}
