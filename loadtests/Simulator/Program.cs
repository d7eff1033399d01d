using System.Globalization;
using System.Text;
using Sluice.LoadGenerator;
using Sluice.Simulator;
using Sluice.Simulator.Report;
using Sluice.Simulator.Traces;

// Usage: Simulator compare [--out FOLDER] [--only TRACE] [--fleet 0]
//            runs every scaler on every trace, then many endpoints; prints a table and writes plots to FOLDER
//        Simulator fleet [--endpoints N] [--gpus N] [--minutes N]
//            runs many endpoints on one set of GPUs and measures the time
//        Simulator nodes [--minutes N]
//            runs endpoints with different requirements on 100 nodes with different GPUs, and checks each placement
var options = args.Skip(1).Chunk(2).ToDictionary(pair => pair[0], pair => pair.Length > 1 ? pair[1] : "");
switch (args.FirstOrDefault())
{
    case "compare":
        var text = new StringBuilder();
        Print($"# autoscaling\n\n{Machine.Describe("make simulate")}\n{Markdown.Introduction}");
        var all = new List<(Comparison, IReadOnlyList<Comparison.Row>)>();
        var trace = AzureTrace.Read(Path.Combine(AppContext.BaseDirectory, "azure-llm-2023-code.csv"));
        foreach (var comparison in Comparison.All(trace))
        {
            if (options.TryGetValue("--only", out var only) && comparison.Trace.Name != only) continue;
            var rows = comparison.Run();
            all.Add((comparison, rows));
            Print(Markdown.Format(comparison, rows));
            if (options.GetValueOrDefault("--out") is { } folder) Plots.Write(folder, comparison, rows);
        }

        if (all.Count > 0) Print(Markdown.Verdict(all));
        if (Number("--fleet", 1) == 1 && !options.ContainsKey("--only"))
        {
            Print(ManyEndpoints.Run(1_000, 10_000, TimeSpan.FromMinutes(10)));
            var mixed = new MixedNodes(TimeSpan.FromMinutes(10));
            Print(mixed.Format(mixed.Run()));
        }

        if (options.GetValueOrDefault("--out") is { } results)
            await File.WriteAllTextAsync(Path.Combine(results, "autoscaling.md"), text.ToString());
        return 0;

        void Print(string part)
        {
            Console.WriteLine(part);
            text.AppendLine(part);
        }

    case "fleet":
        Console.WriteLine(ManyEndpoints.Run(Number("--endpoints", 1_000), Number("--gpus", 10_000),
            TimeSpan.FromMinutes(Number("--minutes", 10))));
        return 0;
    case "nodes":
        var nodes = new MixedNodes(TimeSpan.FromMinutes(Number("--minutes", 10)));
        Console.WriteLine(nodes.Format(nodes.Run()));
        return 0;
    default:
        await Console.Error.WriteLineAsync(
            "usage: Simulator compare [--out FOLDER] [--only TRACE] [--fleet 0]\n"
            + "       Simulator fleet [--endpoints N] [--gpus N] [--minutes N]\n"
            + "       Simulator nodes [--minutes N]");
        return 2;
}

int Number(string name, int otherwise) =>
    options.TryGetValue(name, out var given) ? int.Parse(given, CultureInfo.InvariantCulture) : otherwise;
