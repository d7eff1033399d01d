using System.Text.Json.Serialization;
using Sluice.Domain.Declarations;
using Sluice.Domain.Gpus;

namespace Sluice.Domain.UserPods;

/// <summary>
/// What a user requested for a pod, after the fields of its template were merged. A later change of the template does
/// not change the pod.
/// </summary>
public sealed record UserPodSpec
{
    /// <summary>A display name, at most 100 characters. It need not be unique.</summary>
    public required string Name { get; init; }

    /// <summary>Name of the template that it was created from; empty: none.</summary>
    public string Template { get; init; } = "";

    /// <summary>Container image; empty: the command is a program of the machine (process host).</summary>
    public string Image { get; init; } = "";

    /// <summary>Program and arguments, in place of the image's; empty: those of the image.</summary>
    public IReadOnlyList<string> Command { get; init; } = [];

    /// <summary>Arguments, in place of the image's.</summary>
    public IReadOnlyList<string> Args { get; init; } = [];

    public IReadOnlyDictionary<string, string> Env { get; init; } = new Dictionary<string, string>();

    /// <summary>Resources and isolation. An empty user is that of the image.</summary>
    public ContainerRequirements Container { get; init; } = DefaultContainer;

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public GpuRequirements? Gpu { get; init; }

    /// <summary>Maximum time from the start until the first HTTP port responds, for the state STARTING.</summary>
    public TimeSpan StartTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Maximum time from SIGTERM to SIGKILL.</summary>
    public TimeSpan StopGrace { get; init; } = TimeSpan.FromSeconds(10);

    /// <inheritdoc cref="PodPolicy.Ports"/>
    public IReadOnlyList<string> Ports { get; init; } = [];

    /// <inheritdoc cref="PodPolicy.Volume"/>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public PodVolume? Volume { get; init; }

    /// <inheritdoc cref="PodPolicy.Disk"/>
    public long Disk { get; init; }

    /// <inheritdoc cref="PodPolicy.Application"/>
    public PodApplication Application { get; init; } = PodApplication.Other;

    /// <inheritdoc cref="PodPolicy.KeepPrefix"/>
    public bool KeepPrefix { get; init; }

    /// <inheritdoc cref="PodPolicy.IdleTimeout"/>
    public TimeSpan IdleTimeout { get; init; }

    /// <inheritdoc cref="PodPolicy.StopAfter"/>
    public TimeSpan StopAfter { get; init; }

    /// <inheritdoc cref="PodPolicy.TerminateAfter"/>
    public TimeSpan TerminateAfter { get; init; }

    /// <inheritdoc cref="PodPolicy.Restart"/>
    public bool Restart { get; init; } = true;

    /// <summary>
    /// The container of a pod without a template. A person works in it, installs packages and often is root there, so
    /// it is less confined than that of a worker.
    /// </summary>
    public static ContainerRequirements DefaultContainer { get; } = new() { User = "", ReadOnly = false, Pids = 4096 };

    /// <summary>The ports that can be parsed.</summary>
    [JsonIgnore]
    public IEnumerable<PodPort> OpenPorts =>
        Ports.Select(p => PodPort.TryParse(p, out var port) ? port : default).Where(p => p.Number > 0);

    /// <summary>The first HTTP port; null: the pod has none.</summary>
    [JsonIgnore]
    public int? FirstHttpPort => OpenPorts.Where(p => p.IsHttp).Select(p => (int?)p.Number).FirstOrDefault();

    /// <summary>Whether clients can reach an HTTP port of the pod.</summary>
    public bool OpensHttp(int port) => OpenPorts.Contains(new PodPort(port, IsHttp: true));
}
