namespace Sluice.Hosting.Kubernetes;

/// <summary>Settings of the Kubernetes host, for all templates; see docs/reference/gateway-environment.md.</summary>
public sealed record KubernetesSettings
{
    /// <summary>
    /// Path of a kubeconfig. Empty: the service account of the gateway's own pod, or else <c>$KUBECONFIG</c> or
    /// <c>~/.kube/config</c>.
    /// </summary>
    public string Config { get; init; } = "";

    /// <summary>The context of the kubeconfig; empty: its current one.</summary>
    public string Context { get; init; } = "";

    /// <summary>The namespace of the workers; empty: that of the gateway's own pod or of the context.</summary>
    public string Namespace { get; init; } = "";

    /// <summary>
    /// Name of the ConfigMap that owns the workers. It identifies the installation: every gateway that uses it sees the
    /// same workers. Kubernetes deletes them with it.
    /// </summary>
    public string Owner { get; init; } = "sluice";

    /// <summary>The built-in worker's image.</summary>
    public string WorkerImage { get; init; } = "sluice-worker:latest";

    /// <summary>The built-in worker's image for pods that were given GPUs.</summary>
    public string WorkerGpuImage { get; init; } = "sluice-worker-gpu:latest";

    /// <summary>Names of the Secrets with registry credentials.</summary>
    public IReadOnlyList<string> PullSecrets { get; init; } = [];

    /// <summary>The claim that holds the model repository; null: workers have an empty one.</summary>
    public ClaimPath? Models { get; init; }

    /// <summary>
    /// The claim that the gateway mounts at <c>SLUICE_MODEL_STORE</c>; null: workers cannot get models from a source.
    /// </summary>
    public ClaimPath? ModelStore { get; init; }

    /// <summary>The claim that the gateway mounts at <c>SLUICE_MODEL_UPLOADS</c>; null: no uploaded models.</summary>
    public ClaimPath? ModelUploads { get; init; }

    /// <summary>
    /// A claim in which built-in workers store optimized models and engines. Null: each pod optimizes its models again.
    /// </summary>
    public ClaimPath? Cache { get; init; }

    /// <summary>
    /// Variables of the gateway that built-in workers get as well (<see cref="TelemetryEnvironment"/>).
    /// </summary>
    public IReadOnlyDictionary<string, string> WorkerVariables { get; init; } = new Dictionary<string, string>();

    /// <summary>Claims that templates may mount.</summary>
    public IReadOnlyList<string> Mountable { get; init; } = [];

    /// <summary>The storage class of the volumes of users' pods; empty: the default of the cluster.</summary>
    public string PodStorageClass { get; init; } = "";

    /// <summary>How long a pod may wait for a node with room before its start fails.</summary>
    public TimeSpan ScheduleTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>
    /// Whether the host reads the nodes, for their GPUs and their size. Requires permission to list nodes.
    /// </summary>
    public bool ReadNodes { get; init; } = true;
}
