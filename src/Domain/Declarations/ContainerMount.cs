namespace Sluice.Domain.Declarations;

/// <summary>A folder or volume of the daemon's machine that is mounted into a container.</summary>
public sealed record ContainerMount
{
    /// <summary>
    /// Folder (absolute path) or volume of the daemon's machine. <c>SLUICE_DOCKER_MOUNTS</c> must allow it.
    /// </summary>
    public required string Source { get; init; }

    /// <summary>Absolute path inside the container.</summary>
    public required string Target { get; init; }

    public bool ReadOnly { get; init; } = true;
}
