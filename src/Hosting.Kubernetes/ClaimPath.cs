namespace Sluice.Hosting.Kubernetes;

/// <summary>A folder of a PersistentVolumeClaim.</summary>
/// <param name="Claim">Name of the claim, in the namespace of the workers.</param>
/// <param name="Path">The folder inside the volume, without a leading slash; empty: all of it.</param>
public sealed record ClaimPath(string Claim, string Path = "")
{
    /// <summary>Returns a folder in this one.</summary>
    public ClaimPath Within(string folder) => this with { Path = Path.Length > 0 ? $"{Path}/{folder}" : folder };
}
