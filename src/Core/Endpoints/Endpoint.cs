using System.Text.Json.Serialization;

namespace Sluice.Core.Endpoints;

/// <summary>
/// A named access point on a template, declared by operators and called by clients. It is the desired state; pods and
/// dispatch hold the actual state.
/// </summary>
public sealed record Endpoint
{
    /// <summary>
    /// The id, <c>^[a-z0-9][a-z0-9-]{0,62}$</c>, except <c>models, health, repository, logging, trace</c>.
    /// </summary>
    public required string Id { get; init; }

    /// <summary>The name of its template.</summary>
    public required string Template { get; init; }

    /// <summary>Whether clients need no API key. A private endpoint requires a key whose scope contains it.</summary>
    public bool Public { get; init; }

    /// <summary>
    /// Names of the models that it serves in the Open Inference Protocol. Empty: one model with the id of the endpoint.
    /// </summary>
    public IReadOnlyList<string> Models { get; init; } = [];

    /// <summary>
    /// Environment variables in addition to those of the template. They override variables of the same name.
    /// </summary>
    public IReadOnlyDictionary<string, string> Env { get; init; } = new Dictionary<string, string>();

    public ScalePolicy Scaling { get; init; } = new();

    public QueuePolicy Queue { get; init; } = new();

    public ForwardPolicy Forwarding { get; init; } = new();

    public JobPolicy Jobs { get; init; } = new();

    public PlacementPolicy Placement { get; init; } = new();

    /// <summary>
    /// Which pages of other origins may call it from a browser; null: the origins in <c>SLUICE_CORS_ORIGINS</c>.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public CorsPolicy? Cors { get; init; }

    /// <summary>The model names that select this endpoint.</summary>
    public IReadOnlyList<string> ServedModels => Models.Count > 0 ? Models : [Id];
}

/// <summary>Limits how many requests may wait for the workers of an endpoint, and how long.</summary>
public sealed record QueuePolicy
{
    /// <summary>Maximum number of waiting requests over all gateways. Further requests are rejected with 429.</summary>
    public int MaxDepth { get; init; } = 1000;

    /// <summary>Maximum waiting time of a request. After it, the response is 504.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(60);
}

/// <summary>Limits of a forwarded request.</summary>
public sealed record ForwardPolicy
{
    /// <summary>
    /// Maximum time without data in either direction before a request is cancelled. Each byte restarts it.
    /// </summary>
    public TimeSpan ActivityTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Maximum duration of a request. It is also how long a draining worker may continue.</summary>
    public TimeSpan ExecutionTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>
    /// Maximum size of a request body in bytes. A larger one is rejected with 413. The default of Triton is 64 MiB.
    /// </summary>
    public long MaxBodyBytes { get; init; } = 64L << 20;

    /// <summary>
    /// Number of request bytes that are kept, so that a request can be sent to another worker as long as no byte of a
    /// response was received. If a worker fails after a part of a longer body was sent to it, the response is 502.
    /// </summary>
    public int ReplayBytes { get; init; } = 8 << 20;

    /// <summary>Maximum number of workers that a request is sent to, including the first one. 1: no retries.</summary>
    public int MaxAttempts { get; init; } = 3;
}

/// <summary>Limits of the asynchronous jobs of an endpoint, and how long they are stored.</summary>
public sealed record JobPolicy
{
    /// <summary>
    /// Maximum number of waiting jobs over all gateways. Further jobs are rejected with 429. The limit of RunPod is
    /// 50,000.
    /// </summary>
    public int MaxQueued { get; init; } = 100_000;

    /// <summary>
    /// Maximum number of bytes of the endpoint's jobs in Redis: inputs, results and streams up to 256 KiB each, and
    /// about 700 bytes per job. A new job that exceeds it is rejected with 429.
    /// </summary>
    public long MaxBytes { get; init; } = 1L << 30;

    /// <summary>
    /// Maximum part of <see cref="MaxBytes"/> for the jobs of one API key. All callers without a key share one part.
    /// </summary>
    public long MaxKeyBytes { get; init; } = 512L << 20;

    /// <summary>
    /// Maximum number of attempts that lose their worker before the job fails and becomes a dead letter.
    /// </summary>
    public int MaxRuns { get; init; } = 3;

    /// <summary>Whether a job is retried after its handler returned an error. Off: an error is a result.</summary>
    public bool RetryErrors { get; init; }

    /// <summary>How long a job may wait, unless the job sets its own limit. The default is RunPod's.</summary>
    public TimeSpan Ttl { get; init; } = TimeSpan.FromDays(1);

    /// <summary>How long a job can be read after it has ended. Afterwards the response to its status is 410.</summary>
    public TimeSpan Retention { get; init; } = TimeSpan.FromDays(1);

    /// <summary>
    /// Maximum size of a job's request body in bytes. A larger one is rejected with 413. The default is RunPod's limit
    /// of /runsync.
    /// </summary>
    public long MaxInputBytes { get; init; } = 20L << 20;

    /// <summary>
    /// Maximum size of an output in bytes. A job with a larger output fails with the code <c>OUTPUT_TOO_LARGE</c>.
    /// </summary>
    public long MaxOutputBytes { get; init; } = 20L << 20;

    /// <summary>
    /// Maximum size in bytes of all chunks of a job's stream, which are stored for replay. A job with a larger stream
    /// fails with the code <c>STREAM_TOO_LARGE</c>.
    /// </summary>
    public long MaxStreamBytes { get; init; } = 16L << 20;
}
