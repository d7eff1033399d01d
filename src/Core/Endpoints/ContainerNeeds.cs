using System.Text.Json.Serialization;

namespace Sluice.Core.Endpoints;

/// <summary>When an image is pulled.</summary>
public enum PullPolicy
{
    /// <summary>When the daemon does not have it.</summary>
    Missing,

    /// <summary>Before each start: a tag may have moved.</summary>
    Always,

    /// <summary>Never: it was built or loaded there.</summary>
    Never,
}

/// <summary>A folder or volume of the daemon's machine inside a container.</summary>
public sealed record ContainerMount
{
    /// <summary>Folder (an absolute path) or volume of the daemon's machine; the gateway must allow it (<c>SLUICE_DOCKER_MOUNTS</c>).</summary>
    public required string Source { get; init; }

    /// <summary>Absolute path inside the container.</summary>
    public required string Target { get; init; }

    public bool ReadOnly { get; init; } = true;
}

/// <summary>
/// What a pod may use and how it is confined where pods are containers. The defaults confine: no root, nothing to write but <c>/tmp</c>, no
/// capabilities (that is not up to the template).
/// </summary>
public sealed record ContainerNeeds
{
    /// <summary>A user that no image has: rights that are given to everyone, and no others.</summary>
    public const string Nobody = "65532:65532";

    /// <summary>Port that the worker listens on inside its container (also <c>$PORT</c>).</summary>
    public int Port { get; init; } = 8000;

    /// <summary>Most memory in bytes, <c>/tmp</c> included; more ends the pod. 0: no limit.</summary>
    public long Memory { get; init; }

    /// <summary>Processor cores, fractions too; 0: no limit.</summary>
    [JsonNumberHandling(JsonNumberHandling.AllowReadingFromString)] // A manifest's fractions are texts: 580.65 is a driver's version.
    public double Cpus { get; init; }

    /// <summary>Most processes and threads.</summary>
    public int Pids { get; init; } = 1024;

    /// <summary>User and group, by number or by the image's names.</summary>
    public string User { get; init; } = Nobody;

    /// <summary>The image's files cannot be changed.</summary>
    public bool ReadOnly { get; init; } = true;

    /// <summary>Size of <c>/tmp</c>, which is in memory, in bytes.</summary>
    public long TmpSize { get; init; } = 1L << 30;

    /// <summary>Size of <c>/dev/shm</c> in bytes; Docker's own default.</summary>
    public long ShmSize { get; init; } = 64L << 20;

    public IReadOnlyList<ContainerMount> Mounts { get; init; } = [];

    public PullPolicy Pull { get; init; } = PullPolicy.Missing;
}
