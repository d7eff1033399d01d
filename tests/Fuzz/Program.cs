using System.Globalization;
using Sluice.Fuzz;
using Sluice.LoadGenerator;

// Usage: Fuzz [--surface inference|openai|gateway] [--requests N] [--seed N] [--out FILE]. The exit code is 1 if the
// program crashed or responded with 500.
var options = args.Chunk(2).ToDictionary(pair => pair[0], pair => pair.Length > 1 ? pair[1] : "");
var surface = options.GetValueOrDefault("--surface", "inference");
if (surface is not ("inference" or "openai" or "gateway"))
    throw new ArgumentException($"--surface is '{surface}'; expected inference, openai or gateway");
var fuzz = new RequestFuzz(
    surface == "gateway" ? FuzzTarget.GatewayAsync : FuzzTarget.WorkerAsync,
    surface switch
    {
        "inference" => RequestTemplates.All(),
        "openai" => OpenAiTemplates.All(),
        _ => [.. OpenAiTemplates.All(), .. OpenAiTemplates.Responses()],
    },
    Number("--requests", surface == "inference" ? 1_000_000 : 100_000),
    Number("--seed", Environment.TickCount));
var seen = await fuzz.RunAsync(CancellationToken.None);
var report = $"# request-fuzz, {surface}\n\n{Machine.Describe("make fuzz")}\n{seen}";
Console.WriteLine(report);
if (options.GetValueOrDefault("--out") is { } file) await File.WriteAllTextAsync(file, report);
return fuzz.Failed ? 1 : 0;

int Number(string name, int otherwise) =>
    options.TryGetValue(name, out var text) ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;
