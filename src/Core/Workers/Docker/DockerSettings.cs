namespace Sluice.Core.Workers.Docker;

/// <summary>How pods are run as containers, for all templates; see the README's table.</summary>
public sealed record DockerSettings
{
    /// <summary>Where the daemon's Engine API is: <c>unix:///path</c> or <c>http://host:port</c>.</summary>
    public Uri Daemon { get; init; } = new("unix:///var/run/docker.sock");

    /// <summary>The built-in worker's image.</summary>
    public string WorkerImage { get; init; } = "sluice-worker:latest";

    /// <summary>The built-in worker's image for pods that were given GPUs.</summary>
    public string WorkerGpuImage { get; init; } = "sluice-worker-gpu:latest";

    /// <summary>The network that pods are attached to; the gateway must reach its addresses.</summary>
    public string Network { get; init; } = "bridge";

    /// <summary>Publish each pod's port on this machine's loopback address and speak to that, for daemons whose networks cannot be reached (Docker
    /// Desktop). Such ports are served by the daemon's own proxy and are gone while the daemon is.</summary>
    public bool Publish { get; init; }

    /// <summary>The model repository as the daemon sees it: a folder of its machine, or a volume's name.</summary>
    public string Models { get; init; } = "models";

    /// <summary>A folder of the daemon's machine, or a volume, that built-in workers keep optimised models and engines in; empty: each
    /// pod starts without.</summary>
    public string Cache { get; init; } = "";

    /// <summary>Folders and volumes of the daemon's machine that templates may mount, just these and no folder in them; who may mount any folder owns
    /// the machine. None lies in another one.</summary>
    public IReadOnlyList<string> Mountable { get; init; } = [];

    /// <summary>Docker's own <c>config.json</c>, for the credentials of registries; empty: none.</summary>
    public string RegistryConfig { get; init; } = "";

    /// <summary>Containers go on when the gateway is told to stop, for the next one to adopt.</summary>
    public bool KeepPods { get; init; }
}
