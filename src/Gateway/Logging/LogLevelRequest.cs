namespace Sluice.Gateway.Logging;

/// <summary>The body of a request that sets the log levels of all gateways.</summary>
/// <param name="Level">The level of all categories; null: that of SLUICE_LOG_LEVEL.</param>
/// <param name="Categories">Levels of single categories, and of those that begin with them.</param>
/// <param name="For">How long they apply, like <c>15m</c>; null: until they are reset.</param>
public sealed record LogLevelRequest(
    string? Level = null, IReadOnlyDictionary<string, string>? Categories = null, string? For = null);
