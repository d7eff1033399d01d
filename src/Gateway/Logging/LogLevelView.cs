namespace Sluice.Gateway.Logging;

/// <summary>The log levels of the gateways.</summary>
/// <param name="Level">The level of all categories.</param>
/// <param name="Categories">Levels of single categories, and of those that begin with them.</param>
/// <param name="Setting">The level of SLUICE_LOG_LEVEL of the gateway that responds.</param>
/// <param name="Until">When the setting applies again; null: nothing is set, or it has no end.</param>
public sealed record LogLevelView(
    string Level, IReadOnlyDictionary<string, string> Categories, string Setting, DateTimeOffset? Until);
