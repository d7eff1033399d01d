using System.Globalization;
using Sluice.Simulator.Traces;

namespace Sluice.Simulator.Report;

/// <summary>
/// Draws a comparison as one SVG. On the left: the cost of each scaler (x axis) and its share of late requests (y
/// axis); lower left is better, and Sluice's scalers are red. On the right: the arrivals and the workers of some
/// scalers over time.
/// </summary>
public static class Plots
{
    private const int Width = 1200;
    private const int Height = 420;
    private const int Left = 70;
    private const int Top = 50;
    private const int Bottom = 370;
    private const int Middle = 560;
    private const int Right = 1140;

    /// <summary>Maximum number of points of a curve; more are not visible.</summary>
    private const int Columns = 500;

    private static readonly string[] Colours = ["#c00", "#06c", "#080"];

    /// <summary>Returns the file name of a comparison's plot.</summary>
    public static string FileName(Comparison comparison) =>
        $"autoscaling-{comparison.Trace.Name.Replace(", ", "-", StringComparison.Ordinal)}.svg";

    public static void Write(string folder, Comparison comparison, IReadOnlyList<Comparison.Row> rows)
    {
        var svg = new Svg(Width, Height);
        svg.Text(Left, 24, comparison.Title, size: 15);
        Scatter(svg, rows, comparison.Options.Target);
        Course(svg, comparison, [.. rows.Where(IsDrawn).Take(3)]);
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, FileName(comparison)), svg.ToString());
    }

    private static void Scatter(Svg svg, IReadOnlyList<Comparison.Row> rows, TimeSpan target)
    {
        var cost = rows.Max(r => r.Outcome.WorkerSeconds) * 1.1;
        var late = Math.Max(1e-3, rows.Max(Share) * 1.1);
        Axes(svg, Left, Middle - 60, $"over {target.TotalSeconds:0.#} s", late, "P0", "worker-seconds", cost);
        foreach (var row in rows)
        {
            var (x, y) = (Left + row.Outcome.WorkerSeconds / cost * (Middle - 60 - Left),
                Bottom - Share(row) / late * (Bottom - Top));
            var ours = row.Contender.Name.StartsWith("Sluice", StringComparison.Ordinal);
            svg.Dot(x, y, ours ? 5 : 4, ours ? "#c00" : "#555");
            // Keeps the names inside the page.
            var leftwards = x > (Left + Middle) / 2.0;
            svg.Text(leftwards ? x - 7 : x + 7, y - 4, row.Contender.Name, leftwards ? "end" : "start", 9,
                ours ? "#c00" : "#555");
        }
    }

    private static void Course(Svg svg, Comparison comparison, IReadOnlyList<Comparison.Row> rows)
    {
        var length = comparison.Trace.Length.TotalSeconds;
        var most = rows.Max(r => r.Outcome.MostWorkers) * 1.1 + 1;
        var arrivals = new double[Columns];
        foreach (var request in comparison.Trace.Requests)
            arrivals[Math.Min(Columns - 1, (int)(request.At.TotalSeconds / length * Columns))] += Columns / length;
        var rate = Math.Max(1e-9, arrivals.Max() * 1.1);
        Axes(svg, Middle, Right, "workers", most, "0", "seconds", length);
        svg.Text(Right, Top - 6,
            string.Create(CultureInfo.InvariantCulture, $"grey: arrivals, up to {arrivals.Max():0.##} a second"), "end",
            10, "#888");
        svg.Path([(Middle, Bottom), .. arrivals.Select((a, i) => (At(i), Bottom - a / rate * (Bottom - Top))),
            (Right, Bottom)], "#ddd", filled: true);
        for (var i = 0; i < rows.Count; i++)
        {
            var fleet = rows[i].Outcome.Fleet;
            var next = 0;
            var workers = 0;
            var points = new List<(double, double)>();
            for (var column = 0; column < Columns; column++)
            {
                while (next < fleet.Count && fleet[next].At <= column * length / Columns)
                    workers = fleet[next++].Workers;
                points.Add((At(column), Bottom - workers / most * (Bottom - Top)));
            }

            svg.Path(points, Colours[i]);
            svg.Text(Middle + 10, Top + 14 * (i + 1), rows[i].Contender.Name, colour: Colours[i]);
        }

        static double At(int column) => Middle + (Right - Middle) * (double)column / Columns;
    }

    private static void Axes(
        Svg svg, double left, double right, string up, double most, string format, string across, double end)
    {
        svg.Line(left, Bottom, right, Bottom, "#222");
        svg.Line(left, Bottom, left, Top, "#222");
        svg.Text(left, Top - 6, up, size: 10);
        svg.Text(right, Bottom + 34, across, "end", 10);
        for (var i = 0; i <= 4; i++)
        {
            svg.Text(left - 4, Bottom - i / 4.0 * (Bottom - Top) + 4,
                (most * i / 4).ToString(format, CultureInfo.InvariantCulture), "end", 9);
            svg.Text(left + i / 4.0 * (right - left), Bottom + 16,
                (end * i / 4).ToString("n0", CultureInfo.InvariantCulture), "middle", 9);
        }
    }

    private static bool IsDrawn(Comparison.Row row) => row.Contender.Name is "Sluice SLO" or "Knative KPA"
        || row.Contender.Name.StartsWith("RunPod REQUEST_COUNT", StringComparison.Ordinal);

    private static double Share(Comparison.Row row) =>
        (double)row.Outcome.OverTarget / Math.Max(1, row.Outcome.Requests);
}
