namespace Sluice.Domain.Declarations;

/// <summary>When an image is pulled.</summary>
public enum PullPolicy
{
    /// <summary>If the daemon does not have the image.</summary>
    Missing,

    /// <summary>Before each start, because a tag may refer to another image than before.</summary>
    Always,

    /// <summary>Never: the image was built or loaded on the machine of the daemon.</summary>
    Never,
}

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
