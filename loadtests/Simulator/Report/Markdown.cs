using System.Globalization;
using System.Text;

namespace Sluice.Simulator.Report;

/// <summary>A comparison as a table.</summary>
public static class Markdown
{
    public static string Of(Comparison comparison, IReadOnlyList<Comparison.Row> rows)
    {
        var o = comparison.Options;
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"""

            ## {comparison.Title}

            `{comparison.Trace.Name}`: {comparison.Trace.Requests.Count:n0} requests in {comparison.Trace.Length.TotalHours:0.##} h, {comparison.Trace.Offered:0.00} slots in use on average; {o.SlotsPerWorker} slots a worker, at most {comparison.Max} workers, {o.Start.Mean:0.#} s to start.

            | scaler | p50 wait s | p99 wait s | over {o.Target.TotalSeconds:0.#} s | worker-seconds | starts | scale-ins | flaps | most | beaten by |
            |---|---|---|---|---|---|---|---|---|---|

            """);
        foreach (var row in rows)
        {
            var r = row.Outcome;
            var by = rows.Where(row.DominatedBy).Select(b => b.Scaler.Name).ToList();
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {row.Scaler.Name} | {r.Wait(0.5):0.00} | {r.Wait(0.99):0.00} | {r.OverTarget:n0} ({100.0 * r.OverTarget / Math.Max(1, r.Requests):0.0} %) | {r.WorkerSeconds:n0} | {r.Starts:n0} | {r.ScaleIns:n0} | {r.Flaps:n0} | {r.MostWorkers} | {(by.Count == 0 ? "" : string.Join(", ", by))} |");
        }

        return text.ToString();
    }
}
