using System.Globalization;

namespace Sluice.Testing;

/// <summary>
/// What tests see of the rows of the fault matrix (<c>eng/fault-matrix.tsv</c>: what is broken and what is to come of it). <c>make test</c> breaks each a
/// few times; <c>make faults</c> as often as its row asks for, and makes a table of what was seen.
/// </summary>
public static class FaultMatrix
{
    private static readonly Lock Gate = new();

    /// <summary>The file that <c>make faults</c> gathers in: "row, tab, what was seen" on each line.</summary>
    private static readonly string? Told = Environment.GetEnvironmentVariable("SLUICE_FAULTS");

    /// <summary>Whether the counts are those that the matrix asks for.</summary>
    public static bool Whole => Told is not null;

    /// <summary>How often something is done: some times, or as often as the matrix asks for.</summary>
    public static int Count(int some, int whole) => Whole ? whole : some;

    /// <summary>Says what was seen, in one text or several; after the checks, so that it was seen to hold.</summary>
    public static void Seen(string row, params FormattableString[] figures)
    {
        var line = $"{row}\t{string.Concat(figures.Select(f => f.ToString(CultureInfo.InvariantCulture)))}";
        Console.WriteLine(line);
        if (Told is null) return;
        lock (Gate) File.AppendAllText(Told, line + "\n");
    }

    /// <summary>Times in seconds as text: "p50 0.02, p99 0.90, most 1.20 (n 200)".</summary>
    public static string Spread(IEnumerable<double> seconds)
    {
        var sorted = seconds.Order().ToList();
        return sorted.Count == 0 ? "none" : string.Create(CultureInfo.InvariantCulture,
            $"p50 {At(sorted, 0.5):0.00} s, p99 {At(sorted, 0.99):0.00} s, most {sorted[^1]:0.00} s (n {sorted.Count})");
    }

    /// <summary>The value below which this share of sorted values lies.</summary>
    public static double At(IReadOnlyList<double> sorted, double share) => sorted[Math.Min(sorted.Count - 1, (int)(share * sorted.Count))];
}
