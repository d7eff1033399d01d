using System.Globalization;
using System.Text;

namespace Sluice.Simulator.Report;

/// <summary>Writes a comparison as a Markdown table.</summary>
public static class Markdown
{
    /// <summary>The introduction to all tables.</summary>
    public const string Introduction = """
        Discrete events in virtual time. The rows of Sluice use the product's own decision and plan. The other
        scalers are implemented from their source (Knative's pod autoscaler,
        pkg/autoscaler/scaling/autoscaler.go) or documentation (RunPod; `RunPodScaler` states the assumptions).
        All scalers have the same limits and keep idle workers for 60 s, which is also Knative's stable window.
        RunPod's scalers are listed again with their default of 5 s.
        A *flap* is a worker started within a minute after a scale-in. *Beaten by* lists the scalers with both fewer
        requests over the target and fewer worker-seconds. Service times are log-normal (sigma 0.5); those of the Azure
        trace are derived from its token counts. The left plots show the cost on the x axis and late requests on the
        y axis: nearer to the origin is better.

        """;

    /// <summary>Returns on which traces another scaler beats the default policy, the first row.</summary>
    public static string Verdict(IReadOnlyList<(Comparison Comparison, IReadOnlyList<Comparison.Row> Rows)> all)
    {
        var beaten = all.Where(c => c.Rows.Skip(1).Any(c.Rows[0].DominatedBy)).Select(c => c.Comparison.Trace.Name)
            .ToList();
        var name = all[0].Rows[0].Contender.Name;
        var verdict = beaten.Count == 0
            ? Text($"{name} is beaten on none of these {all.Count} traces.")
            : Text($"{name} is beaten on {beaten.Count} of {all.Count} traces: {string.Join(", ", beaten)}.");
        return $"## The default policy\n\n{verdict}\n";
    }

    public static string Format(Comparison comparison, IReadOnlyList<Comparison.Row> rows)
    {
        var o = comparison.Options;
        var text = new StringBuilder();
        string[] header =
        [
            "scaler", "p50 wait s", "p99 wait s", Text($"over {o.Target.TotalSeconds:0.#} s"), "worker-seconds",
            "starts", "scale-ins", "flaps", "most", "beaten by",
        ];
        text.Append(CultureInfo.InvariantCulture, $"""

            ## {comparison.Title}

            ![{comparison.Trace.Name}]({Plots.FileName(comparison)})

            `{comparison.Trace.Name}`: {comparison.Trace.Requests.Count:n0} requests
            in {comparison.Trace.Length.TotalHours:0.##} h,
            {comparison.Trace.Offered:0.00} slots in use on average; {o.SlotsPerWorker} slots per worker,
            at most {comparison.Max} workers, {o.Start.Mean:0.#} s to start.

            | {string.Join(" | ", header)} |
            |---|---|---|---|---|---|---|---|---|---|

            """);
        foreach (var row in rows)
        {
            var r = row.Outcome;
            var by = rows.Where(row.DominatedBy).Select(b => b.Contender.Name).ToList();
            string[] cells =
            [
                row.Contender.Name, Text($"{r.Wait(0.5):0.00}"), Text($"{r.Wait(0.99):0.00}"),
                Text($"{r.OverTarget:n0} ({100.0 * r.OverTarget / Math.Max(1, r.Requests):0.0} %)"),
                Text($"{r.WorkerSeconds:n0}"), Text($"{r.Starts:n0}"), Text($"{r.ScaleIns:n0}"), Text($"{r.Flaps:n0}"),
                Text($"{r.MostWorkers}"), string.Join(", ", by),
            ];
            text.AppendLine(CultureInfo.InvariantCulture, $"| {string.Join(" | ", cells)} |");
        }

        text.AppendLine(CultureInfo.InvariantCulture,
            $"\n{rows.Count} runs in {rows.Sum(r => r.Took.TotalSeconds):0.0} s.");
        return text.ToString();
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
