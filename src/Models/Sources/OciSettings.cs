namespace Sluice.Models.Sources;

/// <summary>The credentials for a registry of images.</summary>
public sealed record OciSettings
{
    /// <summary>The registry that gets them, <c>host[:port]</c>; empty: none.</summary>
    public string Registry { get; init; } = "";

    public string User { get; init; } = "";

    public string Password { get; init; } = "";
}
