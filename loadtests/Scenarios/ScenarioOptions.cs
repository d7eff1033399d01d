using System.Globalization;

namespace Sluice.Scenarios;

/// <summary>How long and how often a scenario measures.</summary>
/// <param name="Rounds">Interleaved rounds; a ratio is the median over them.</param>
/// <param name="Slice">Length of one measurement within a round.</param>
/// <param name="Out">File for the table; null: only the console.</param>
/// <param name="Before">
/// The older build to compare with; null: the scenario compares this build with its peers.
/// </param>
/// <param name="Gateways">
/// The only number of gateways with which a comparison of builds measures; null: all that it knows.
/// </param>
public sealed record ScenarioOptions(
    int Rounds, TimeSpan Slice, string? Out, PublishedBuild? Before = null, int? Gateways = null)
{
    private static readonly string[] Known = ["--rounds", "--slice", "--out"];

    /// <summary>Reads the options of a scenario.</summary>
    /// <param name="given">The options by name.</param>
    /// <param name="comparesBuilds">Whether the scenario accepts <c>--before</c>.</param>
    /// <param name="choosesGateways">Whether the scenario accepts <c>--gateways</c>.</param>
    public static ScenarioOptions Read(
        IReadOnlyDictionary<string, string> given, bool comparesBuilds = false, bool choosesGateways = false)
    {
        string[] known =
            [.. Known, .. comparesBuilds ? ["--before"] : Array.Empty<string>(),
            .. choosesGateways ? ["--gateways"] : Array.Empty<string>()];
        foreach (var name in given.Keys)
            if (!known.Contains(name))
                throw new ArgumentException($"{name} is not known, expected one of {string.Join(", ", known)}");
        return new ScenarioOptions(
            given.TryGetValue("--rounds", out var rounds) ? int.Parse(rounds, CultureInfo.InvariantCulture) : 7,
            TimeSpan.FromSeconds(
                given.TryGetValue("--slice", out var slice) ? double.Parse(slice, CultureInfo.InvariantCulture) : 2),
            given.GetValueOrDefault("--out"),
            given.TryGetValue("--before", out var before) ? PublishedBuild.At("before", before) : null,
            given.TryGetValue("--gateways", out var count) ? int.Parse(count, CultureInfo.InvariantCulture) : null);
    }
}
