using System.Globalization;
using System.Text;
using Sluice.LoadGenerator;
using Sluice.Simulator;
using Sluice.Simulator.Report;
using Sluice.Simulator.Traces;

// Usage: Simulator compare [--out FOLDER] [--only TRACE] [--fleet 0]   every scaler on every trace, then many endpoints: a table, and plots in FOLDER
//        Simulator fleet [--endpoints N] [--gpus N] [--minutes N]       many endpoints on one set of GPUs, and how long it takes
var options = args.Skip(1).Chunk(2).ToDictionary(pair => pair[0], pair => pair.Length > 1 ? pair[1] : "");
switch (args.FirstOrDefault())
{
    case "compare":
        var text = new StringBuilder();
        Tell($"# autoscaling\n\n{Machine.Describe("make simulate")}\n{Markdown.Introduction}");
        var all = new List<(Comparison, IReadOnlyList<Comparison.Row>)>();
        foreach (var comparison in Comparison.All(AzureTrace.Read(Path.Combine(AppContext.BaseDirectory, "azure-llm-2023-code.csv"))))
        {
            if (options.TryGetValue("--only", out var only) && comparison.Trace.Name != only) continue;
            var rows = comparison.Run();
            all.Add((comparison, rows));
            Tell(Markdown.Of(comparison, rows));
            if (options.GetValueOrDefault("--out") is { } folder) Plots.Write(folder, comparison, rows);
        }

        if (all.Count > 0) Tell(Markdown.Verdict(all));
        if (Number("--fleet", 1) == 1 && !options.ContainsKey("--only")) Tell(ManyEndpoints.Run(1_000, 10_000, TimeSpan.FromMinutes(10)));
        if (options.GetValueOrDefault("--out") is { } results) await File.WriteAllTextAsync(Path.Combine(results, "autoscaling.md"), text.ToString());
        return 0;

        void Tell(string part)
        {
            Console.WriteLine(part);
            text.AppendLine(part);
        }

    case "fleet":
        Console.WriteLine(ManyEndpoints.Run(Number("--endpoints", 1_000), Number("--gpus", 10_000), TimeSpan.FromMinutes(Number("--minutes", 10))));
        return 0;
    default:
        await Console.Error.WriteLineAsync("usage: Simulator compare [--out FOLDER] [--only TRACE] [--fleet 0] | fleet [--endpoints N] [--gpus N] [--minutes N]");
        return 2;
}

int Number(string name, int otherwise) => options.TryGetValue(name, out var given) ? int.Parse(given, CultureInfo.InvariantCulture) : otherwise;
