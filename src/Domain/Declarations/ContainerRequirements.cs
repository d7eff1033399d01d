using System.Text.Json.Serialization;

namespace Sluice.Domain.Declarations;

/// <summary>
/// The resources and the isolation of a pod that is a container. The defaults isolate it: no root user, no writable
/// folder except <c>/tmp</c>, no capabilities (a template cannot change the latter).
/// </summary>
public sealed record ContainerRequirements
{
    /// <summary>A user that no image defines. It has only the permissions of all users.</summary>
    public const string UnprivilegedUser = "65532:65532";

    /// <summary>Port that the worker listens on inside its container (also <c>$PORT</c>).</summary>
    public int Port { get; init; } = 8000;

    /// <summary>
    /// Memory limit in bytes, including <c>/tmp</c>. A pod that exceeds it is terminated. 0: no limit.
    /// </summary>
    public long Memory { get; init; }

    /// <summary>Limit of CPU cores; fractions are allowed. 0: no limit.</summary>
    // Fractions in a manifest are strings, because 580.65 can also be a driver version.
    [JsonNumberHandling(JsonNumberHandling.AllowReadingFromString)]
    public double Cpus { get; init; }

    /// <summary>Maximum number of processes and threads.</summary>
    public int Pids { get; init; } = 1024;

    /// <summary>User and group, as numbers or as names defined by the image.</summary>
    public string User { get; init; } = UnprivilegedUser;

    /// <summary>Whether the files of the image are read-only.</summary>
    public bool ReadOnly { get; init; } = true;

    /// <summary>Size of <c>/tmp</c> in bytes. It is stored in memory.</summary>
    public long TmpSize { get; init; } = 1L << 30;

    /// <summary>Size of <c>/dev/shm</c> in bytes. The default is Docker's default.</summary>
    public long ShmSize { get; init; } = 64L << 20;

    public IReadOnlyList<ContainerMount> Mounts { get; init; } = [];

    public PullPolicy Pull { get; init; } = PullPolicy.Missing;
}
