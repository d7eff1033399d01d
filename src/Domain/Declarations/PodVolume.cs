namespace Sluice.Domain.Declarations;

/// <summary>The folder of a pod that survives stops and starts. It is deleted when the pod is terminated.</summary>
public sealed record PodVolume
{
    /// <summary>Absolute path inside the container.</summary>
    public string Path { get; init; } = "/workspace";

    /// <summary>
    /// Requested size in bytes; 0: none was requested. Docker's local volumes have no limit of their size, so it is
    /// recorded, and not enforced by the Docker host.
    /// </summary>
    public long Size { get; init; }
}
