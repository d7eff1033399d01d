using System.Globalization;
using System.Text;
using Sluice.Simulator;
using Sluice.Simulator.Report;
using Sluice.Simulator.Traces;

// Usage: Simulator compare [--out FOLDER] [--only TRACE]   every scaler on every trace: tables, and plots in FOLDER
//        Simulator fleet [--endpoints N] [--workers N]      many endpoints on one set of GPUs, and how long it takes
var options = args.Skip(1).Chunk(2).ToDictionary(pair => pair[0], pair => pair.Length > 1 ? pair[1] : "");
switch (args.FirstOrDefault())
{
    case "compare":
        var azure = AzureTrace.Read(Path.Combine(AppContext.BaseDirectory, "azure-llm-2023-code.csv"));
        var comparisons = Comparison.All(azure).Where(c => !options.TryGetValue("--only", out var only) || c.Trace.Name == only).ToList();
        var report = new StringBuilder();
        foreach (var comparison in comparisons)
        {
            var rows = comparison.Run();
            report.Append(Markdown.Of(comparison, rows));
            if (options.GetValueOrDefault("--out") is { } folder) Plots.Write(folder, comparison, rows);
        }

        Console.WriteLine(report);
        return 0;
    default:
        await Console.Error.WriteLineAsync("usage: Simulator compare [--out FOLDER] [--only TRACE]");
        return 2;
}
