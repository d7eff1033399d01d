namespace Sluice.Hosting.Docker;

/// <summary>Settings of the Docker host, for all templates; see docs/reference/gateway-environment.md.</summary>
public sealed record DockerSettings
{
    /// <summary>Address of the daemon's Engine API: <c>unix:///path</c> or <c>http://host:port</c>.</summary>
    public Uri Daemon { get; init; } = new("unix:///var/run/docker.sock");

    /// <summary>The built-in worker's image.</summary>
    public string WorkerImage { get; init; } = "sluice-worker:latest";

    /// <summary>The built-in worker's image for pods that were given GPUs.</summary>
    public string WorkerGpuImage { get; init; } = "sluice-worker-gpu:latest";

    /// <summary>The network that pods are attached to. The gateway must be able to reach addresses in it.</summary>
    public string Network { get; init; } = "bridge";

    /// <summary>
    /// Whether each pod's port is published on this machine's loopback address, and requests are sent there. Required
    /// for daemons whose networks are not reachable (Docker Desktop). The daemon's own proxy serves these ports, so
    /// they are unavailable while the daemon is.
    /// </summary>
    public bool Publish { get; init; }

    /// <summary>The model repository as the daemon sees it: a folder of its machine, or the name of a volume.</summary>
    public string Models { get; init; } = "models";

    /// <summary>
    /// The store of delivered models as the daemon sees it: a folder of its machine, or the name of a volume.
    /// </summary>
    public string ModelStore { get; init; } = "";

    /// <summary>The folder of uploaded models as the daemon sees it: a folder of its machine, or a volume.</summary>
    public string ModelUploads { get; init; } = "";

    /// <summary>
    /// A folder of the daemon's machine, or a volume, in which built-in workers store optimized models and engines.
    /// Empty: no cache, so each pod optimizes its models again.
    /// </summary>
    public string Cache { get; init; } = "";

    /// <summary>
    /// Folders and volumes of the daemon's machine that templates may mount. Subfolders are not included, because
    /// permission to mount any folder gives full control of the machine. No listed folder contains another one.
    /// </summary>
    public IReadOnlyList<string> Mountable { get; init; } = [];

    /// <summary>
    /// Variables of the built-in worker, unless the template or the endpoint sets them
    /// (<see cref="TelemetryEnvironment"/>).
    /// </summary>
    public IReadOnlyDictionary<string, string> WorkerVariables { get; init; } = new Dictionary<string, string>();

    /// <summary>
    /// The address at which other gateways reach the workers: their ports are published there. Null: no other gateway
    /// does, because it does not reach the network of the containers.
    /// </summary>
    public string? NodeAddress { get; init; }

    /// <summary>The address on which ports of workers are published; null: they are not published.</summary>
    public string? WorkerAddress => NodeAddress ?? (Publish ? "127.0.0.1" : null);

    /// <summary>Docker's own <c>config.json</c>, which holds registry credentials. Empty: none.</summary>
    public string RegistryConfig { get; init; } = "";

    /// <summary>
    /// Whether containers keep running when the gateway stops, so that the next gateway process adopts them.
    /// </summary>
    public bool KeepPods { get; init; }

    /// <summary>
    /// The network of the pods of users. The default is created if it does not exist; containers in it cannot connect
    /// to each other.
    /// </summary>
    public string PodNetwork { get; init; } = DefaultPodNetwork;

    /// <summary>Address of the daemon's machine on which TCP ports of the pods of users are published.</summary>
    public string PodAddress { get; init; } = "127.0.0.1";

    /// <summary>
    /// Whether the daemon's storage driver enforces <c>disk</c> of pods (overlay2 on XFS with pquota, btrfs, zfs).
    /// </summary>
    public bool PodDiskQuota { get; init; }

    /// <summary>The default of <see cref="PodNetwork"/>.</summary>
    public const string DefaultPodNetwork = "sluice-pods";

    /// <summary>
    /// Whether a folder or volume may be mounted. Only the listed folders may, and none of their subfolders: a pod with
    /// write access could replace a subfolder by a link, which the daemon would resolve on its own machine.
    /// </summary>
    public bool IsMountable(string source) => Mountable.Any(m => TrimFolder(m) == TrimFolder(source));

    /// <summary>Describes what may be mounted, for error messages.</summary>
    public string DescribeMountable() => Mountable.Count == 0
        ? "no mounts, because SLUICE_DOCKER_MOUNTS is empty"
        : $"a folder or volume in SLUICE_DOCKER_MOUNTS: {string.Join(", ", Mountable)}";

    private static string TrimFolder(string source) => source.StartsWith('/') ? source.TrimEnd('/') : source;
}
