namespace Sluice.ControlPlane.Manifests;

/// <summary>Where the manifest, its variables and its secrets are.</summary>
/// <param name="Path">The path of the file; null if there is none.</param>
/// <param name="Variables">Returns the value of a variable of the manifest, or null; null: there are none.</param>
/// <param name="Secrets">The folder with a file for each secret; null: there is none.</param>
public sealed record ManifestOptions(
    string? Path, Func<string, string?>? Variables = null, string? Secrets = null);
