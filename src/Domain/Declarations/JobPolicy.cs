namespace Sluice.Domain.Declarations;

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
