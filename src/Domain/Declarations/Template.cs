using System.Text.Json.Serialization;
using Sluice.Domain.Gpus;

namespace Sluice.Domain.Declarations;

/// <summary>
/// A blueprint of a worker: what is started, and how the gateway communicates with it. A template without a
/// <see cref="Command"/> and an <see cref="Image"/> is the built-in ONNX worker.
/// </summary>
public sealed record Template
{
    /// <summary>The name; the rule of endpoint ids applies.</summary>
    public required string Name { get; init; }

    /// <summary>
    /// Program and arguments; empty: the built-in ONNX worker. <c>{port}</c> in an argument is replaced with the port
    /// on which the worker must listen (also in its environment as <c>PORT</c> and <c>SLUICE_PORT</c>).
    /// </summary>
    public IReadOnlyList<string> Command { get; init; } = [];

    /// <summary>Arguments after those of the command, or instead of the arguments of the image.</summary>
    public IReadOnlyList<string> Args { get; init; } = [];

    /// <summary>Whether it is the built-in ONNX worker, without any third-party program.</summary>
    [JsonIgnore]
    public bool IsBuiltIn => Command.Count == 0 && Image.Length == 0;

    /// <summary>
    /// Container image, <c>[registry/]repository[:tag][@digest]</c>; empty: the image of the built-in worker. It
    /// requires the Docker host.
    /// </summary>
    public string Image { get; init; } = "";

    /// <summary>Resources and isolation of its pods if they are containers.</summary>
    public ContainerRequirements Container { get; init; } = new();

    /// <summary>Environment variables of the worker, in addition to the few variables that every pod gets.</summary>
    public IReadOnlyDictionary<string, string> Env { get; init; } = new Dictionary<string, string>();

    /// <summary>Maximum number of concurrent requests per worker (its slots).</summary>
    public int Concurrency { get; init; } = 8;

    /// <summary>
    /// Number of tokens that the key/value cache of a worker can hold: it gets only texts that fit. 0: what the worker
    /// reports. A larger number than the worker's own lets texts compete for its cache.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long CacheTokens { get; init; }

    public WorkerProtocol Protocol { get; init; } = WorkerProtocol.H2c;

    /// <summary>Path that returns 200 once the worker can serve requests.</summary>
    public string ReadyPath { get; init; } = "/v2/health/ready";

    /// <summary>Path to which the input of a job is posted.</summary>
    public string HandlerPath { get; init; } = "/run";

    /// <summary>Maximum time from the start of a worker to its first 200 at <see cref="ReadyPath"/>.</summary>
    public TimeSpan StartTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Maximum time from SIGTERM to the exit of a drained worker. After it, the worker is killed.</summary>
    public TimeSpan StopGrace { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>GPUs that a worker requires; null: Sluice places the worker on no GPU.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public GpuRequirements? Gpu { get; init; }

    /// <summary>How Kubernetes schedules its pods; null: as any pod.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public KubernetesPolicy? Kubernetes { get; init; }

    /// <summary>What pods of this template have; null: the template is meant for workers.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public PodPolicy? Pod { get; init; }

    /// <summary>
    /// Whether requests below <c>/e/{endpoint}/</c> are sent with their whole path, for web applications that know
    /// their base path.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool KeepPrefix { get; init; }

    /// <summary>
    /// Whether requests have the host name that the client used, and the headers <c>X-Forwarded-*</c>, for web
    /// applications that compare it with <c>Origin</c> or write URLs.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool PassHost { get; init; }

    /// <summary>
    /// Whether cookies pass in both directions. Those of the worker apply to paths below <c>/e/{endpoint}/</c> only.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool PassCookies { get; init; }
}
