namespace Sluice.Domain.Jobs;

/// <summary>A job to be stored.</summary>
public sealed record JobSubmission
{
    public required string Id { get; init; }

    public required string EndpointId { get; init; }

    /// <summary>The flow whose share of the queue it counts against.</summary>
    public required string Flow { get; init; }

    /// <summary>The share of the flow relative to other flows.</summary>
    public double Weight { get; init; } = 1;

    /// <summary>The input as JSON text.</summary>
    public required ReadOnlyMemory<byte> Input { get; init; }

    /// <summary>The s3Config of the client as JSON text; it is passed to the worker.</summary>
    public byte[]? S3 { get; init; }

    /// <summary>
    /// The path of the worker that gets the input as it is; it begins with a slash. Null: the job handler of the
    /// template gets the input in an envelope. A job has a path or an s3Config.
    /// </summary>
    public string? Path { get; init; }

    public required TimeSpan Ttl { get; init; }

    public required TimeSpan Timeout { get; init; }

    public required TimeSpan Retention { get; init; }

    public required int MaxRuns { get; init; }

    public required int MaxQueued { get; init; }

    /// <summary>The queued jobs that the flow may have; 0: no limit.</summary>
    public int FlowMaxQueued { get; init; }

    /// <summary>Bytes that the endpoint's jobs may occupy in Redis; 0: no limit.</summary>
    public long MaxBytes { get; init; }

    /// <summary>Bytes that the flow's jobs may occupy in Redis; 0: no limit.</summary>
    public long FlowMaxBytes { get; init; }

    /// <summary>The tokens that it may use at most, prompt and answer; 0: it generates no text.</summary>
    public long Tokens { get; init; }

    public bool LowPriority { get; init; }

    public string? Webhook { get; init; }

    /// <summary>The Idempotency-Key of the client; null: none.</summary>
    public string? IdempotencyKey { get; init; }

    /// <summary>
    /// The digest of the request body, if there is an Idempotency-Key: a different body with the same key is an error
    /// of the client.
    /// </summary>
    public string Digest { get; init; } = "";

    /// <summary>
    /// The span of the submission, <c>traceparent tracestate</c>, if it is recorded. Attempts refer to it. Null: none.
    /// </summary>
    public string? Trace { get; init; }

    /// <summary>The gateway to notify when the job ends; null: none.</summary>
    public string? Watcher { get; init; }
}
