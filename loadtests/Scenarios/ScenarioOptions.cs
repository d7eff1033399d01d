using System.Globalization;

namespace Sluice.Scenarios;

/// <summary>How long and how often a scenario measures.</summary>
/// <param name="Rounds">Interleaved rounds; a ratio is the median over them.</param>
/// <param name="Slice">Length of one measurement within a round.</param>
/// <param name="Out">File for the table; null: only the console.</param>
public sealed record ScenarioOptions(int Rounds, TimeSpan Slice, string? Out)
{
    public static ScenarioOptions Read(IReadOnlyDictionary<string, string> given)
    {
        foreach (var name in given.Keys)
            if (name is not ("--rounds" or "--slice" or "--out"))
                throw new ArgumentException($"{name} is not known, expected --rounds, --slice or --out");
        return new ScenarioOptions(
            given.TryGetValue("--rounds", out var rounds) ? int.Parse(rounds, CultureInfo.InvariantCulture) : 7,
            TimeSpan.FromSeconds(given.TryGetValue("--slice", out var slice) ? double.Parse(slice, CultureInfo.InvariantCulture) : 2),
            given.GetValueOrDefault("--out"));
    }
}
