namespace Sluice.Domain.Declarations;

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

    /// <summary>
    /// Whether a request for generated text prefers the worker that has read the longest beginning of it.
    /// </summary>
    public bool PrefersCached { get; init; } = true;
}
