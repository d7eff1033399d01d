using System.Text.Json.Serialization;

namespace Sluice.Core.Endpoints;

/// <summary>
/// A named access point on a template: what operators declare and clients call. This is the wish; what runs is told by
/// pods and dispatch.
/// </summary>
public sealed record Endpoint
{
    /// <summary>Id, <c>^[a-z0-9][a-z0-9-]{0,62}$</c>, none of <c>models, health, repository, logging, trace</c>.</summary>
    public required string Id { get; init; }

    /// <summary>Name of its template.</summary>
    public required string Template { get; init; }

    /// <summary>A public endpoint is called without a key; a private one needs a key whose scope names it.</summary>
    public bool Public { get; init; }

    /// <summary>Models that it serves by name in the Open Inference Protocol; empty: one, named like the endpoint.</summary>
    public IReadOnlyList<string> Models { get; init; } = [];

    /// <summary>Environment beside the template's; an equal name here wins.</summary>
    public IReadOnlyDictionary<string, string> Env { get; init; } = new Dictionary<string, string>();

    public ScalePolicy Scaling { get; init; } = new();

    public QueuePolicy Queue { get; init; } = new();

    public ForwardPolicy Forwarding { get; init; } = new();

    public JobPolicy Jobs { get; init; } = new();

    public PlacementPolicy Placement { get; init; } = new();

    /// <summary>Which pages of other origins may call it from a browser; null: those of the gateway's <c>SLUICE_CORS_ORIGINS</c>.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public CorsPolicy? Cors { get; init; }

    /// <summary>The model names that select this endpoint.</summary>
    public IReadOnlyList<string> ServedModels => Models.Count > 0 ? Models : [Id];
}

/// <summary>How many requests may wait for an endpoint's workers, and how long.</summary>
public sealed record QueuePolicy
{
    /// <summary>Waiting requests, over all gateways; one more is refused with 429.</summary>
    public int MaxDepth { get; init; } = 1000;

    /// <summary>A request that waited this long is answered 504.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(60);
}

/// <summary>What a forwarded request may take.</summary>
public sealed record ForwardPolicy
{
    /// <summary>Longest silence in either direction before a request is given up (each byte starts it again).</summary>
    public TimeSpan ActivityTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Longest whole run of a request; also how long a draining worker is waited for.</summary>
    public TimeSpan ExecutionTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Largest request body in bytes; a larger one gets 413. Triton's default is 64 MiB.</summary>
    public long MaxBodyBytes { get; init; } = 64L << 20;

    /// <summary>Request bytes kept so that a request can go to another worker while no byte of an answer has come;
    /// a longer body that was partly sent to a worker that died is answered 502.</summary>
    public int ReplayBytes { get; init; } = 8 << 20;

    /// <summary>Workers that a request is sent to at most, the first one included. 1: never retried.</summary>
    public int MaxAttempts { get; init; } = 3;
}

/// <summary>What asynchronous jobs of an endpoint may take, and how long they are remembered.</summary>
public sealed record JobPolicy
{
    /// <summary>Jobs that may wait, over all gateways; one more is refused with 429. RunPod's limit is 50,000.</summary>
    public int MaxQueued { get; init; } = 100_000;

    /// <summary>Bytes that the endpoint's jobs may occupy in Redis (inputs, results and streams up to 256 KiB each, and about 700 bytes for each job);
    /// a new job that needs more is refused with 429.</summary>
    public long MaxBytes { get; init; } = 1L << 30;

    /// <summary>The part of <see cref="MaxBytes"/> that the jobs of one key may occupy. All callers without a key count as one.</summary>
    public long MaxKeyBytes { get; init; } = 512L << 20;

    /// <summary>Attempts that may be lost with their workers before the job fails and becomes a dead letter.</summary>
    public int MaxRuns { get; init; } = 3;

    /// <summary>Whether a job whose handler answered an error is tried again too. Off: an error is an answer.</summary>
    public bool RetryErrors { get; init; }

    /// <summary>How long a job may wait, where it does not say so itself. RunPod's default.</summary>
    public TimeSpan Ttl { get; init; } = TimeSpan.FromDays(1);

    /// <summary>How long a job that has ended can be read. After that its status answers 410.</summary>
    public TimeSpan Retention { get; init; } = TimeSpan.FromDays(1);

    /// <summary>Largest job, in bytes of its request body; a larger one gets 413. RunPod's limit for /runsync.</summary>
    public long MaxInputBytes { get; init; } = 20L << 20;

    /// <summary>Largest output in bytes; a job with a larger one fails with the code <c>OUTPUT_TOO_LARGE</c>.</summary>
    public long MaxOutputBytes { get; init; } = 20L << 20;

    /// <summary>Bytes of all chunks of a job's stream, kept for replay; beyond it the job fails with the code
    /// <c>STREAM_TOO_LARGE</c>.</summary>
    public long MaxStreamBytes { get; init; } = 16L << 20;
}
