using System.Text.Json.Serialization;

namespace Sluice.Domain.Declarations;

/// <summary>
/// What pods of a template have in addition to its workers (<c>pod:</c> of a template): ports, a volume, and rules for
/// when they stop. A template without it can still be the template of pods, which then have no port.
/// </summary>
public sealed record PodPolicy
{
    /// <summary>
    /// The ports that the gateway opens, as <c>NUMBER/http</c> or <c>NUMBER/tcp</c>. HTTP ports are reached through the
    /// gateway. TCP ports are published on the machine of the pod.
    /// </summary>
    public IReadOnlyList<string> Ports { get; init; } = [];

    /// <summary>The folder that survives a stop; null: none does.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public PodVolume? Volume { get; init; }

    /// <summary>Size of the container's own files in bytes; 0: no limit.</summary>
    public long Disk { get; init; }

    /// <summary>The program that listens on the first HTTP port.</summary>
    public PodApplication Application { get; init; } = PodApplication.Other;

    /// <summary>
    /// Whether the program gets the path with the prefix <c>/pods/ID/PORT</c>, if the gateway uses paths and not
    /// subdomains. Jupyter needs it (<c>{path}</c> in its arguments is the prefix).
    /// </summary>
    public bool KeepPrefix { get; init; }

    /// <summary>A pod that is idle for this long is stopped; 0: never.</summary>
    public TimeSpan IdleTimeout { get; init; }

    /// <summary>A pod is stopped this long after its start; 0: never.</summary>
    public TimeSpan StopAfter { get; init; }

    /// <summary>A pod is terminated this long after its creation; 0: never.</summary>
    public TimeSpan TerminateAfter { get; init; }

    /// <summary>Whether a program that exits is started again.</summary>
    public bool Restart { get; init; } = true;
}
