namespace Sluice.ControlPlane.Manifests;

/// <summary>The path of the manifest; null if there is none.</summary>
public sealed record ManifestOptions(string? Path);
