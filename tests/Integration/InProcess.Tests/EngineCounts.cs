using System.Globalization;

namespace Sluice.InProcess.Tests;

/// <summary>What the engine of a worker has done, as its metrics count it.</summary>
/// <param name="Running">Texts that are generated.</param>
/// <param name="Waiting">Texts that wait for a row of the cache.</param>
/// <param name="Aborted">Texts that ended because of a cancellation.</param>
/// <param name="Generated">Generated tokens.</param>
/// <param name="Prompts">Texts that have a first token: their prompt was read.</param>
internal sealed record EngineCounts(long Running, long Waiting, long Aborted, long Generated, long Prompts)
{
    /// <summary>Reads the page of the metrics of workers.</summary>
    public static EngineCounts Read(string page, string model)
    {
        var lines = page.Split('\n').Where(l => l.Contains($"model=\"{model}\"", StringComparison.Ordinal)).ToList();
        return new EngineCounts(Value("running"), Value("waiting"), Value("ended_total", "reason=\"abort\""),
            Value("tokens_total"), Value("first_token_seconds_count"));

        long Value(string name, string label = "") => lines
            .Where(l => l.StartsWith($"sluice_generation_{name}{{", StringComparison.Ordinal)
                && l.Contains(label, StringComparison.Ordinal))
            .Sum(l => long.Parse(l[(l.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
    }
}
