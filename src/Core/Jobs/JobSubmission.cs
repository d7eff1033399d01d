namespace Sluice.Core.Jobs;

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

    public bool LowPriority { get; init; }

    public string? Webhook { get; init; }

    /// <summary>The Idempotency-Key of the client; null: none.</summary>
    public string? IdempotencyKey { get; init; }

    /// <summary>
    /// The digest of the request body, if there is an Idempotency-Key: a different body with the same key is an error
    /// of the client.
    /// </summary>
    public string Digest { get; init; } = "";

    /// <summary>The gateway to notify when the job ends; null: none.</summary>
    public string? Watcher { get; init; }
}

/// <summary>The outcome of a submission.</summary>
public enum SubmitOutcome
{
    /// <summary>The job is stored and queued.</summary>
    Queued,

    /// <summary>The Idempotency-Key already belongs to this job.</summary>
    Same,

    /// <summary>The Idempotency-Key belongs to a job with a different body.</summary>
    Conflict,

    /// <summary>The number of queued jobs of the endpoint is at its limit.</summary>
    QueueFull,

    /// <summary>The number of queued jobs of the key is at its limit.</summary>
    FlowFull,

    /// <summary>The jobs of the endpoint would exceed their limit of bytes.</summary>
    BytesFull,

    /// <summary>The jobs of the key at the endpoint would exceed their limit of bytes.</summary>
    FlowBytesFull,
}

/// <summary>The result of a submission.</summary>
/// <param name="Outcome">The outcome.</param>
/// <param name="Id">The job.</param>
/// <param name="Held">The queued jobs, or the bytes that jobs occupy, if their limit rejected the submission.</param>
public readonly record struct SubmitResult(SubmitOutcome Outcome, string Id, long Held = 0);

/// <summary>A part of the stream of a job.</summary>
/// <param name="Status">The status of the job; empty: the job does not exist.</param>
/// <param name="Expired">Whether its data was deleted.</param>
/// <param name="First">The index of the first chunk.</param>
/// <param name="Total">The number of chunks in the log.</param>
/// <param name="Chunks">The chunks as JSON texts.</param>
public sealed record JobPart(string Status, bool Expired, int First, int Total, IReadOnlyList<byte[]> Chunks)
{
    /// <summary>The index of the chunk after these.</summary>
    public int Next => First + Chunks.Count;

    /// <summary>Whether no more chunks follow.</summary>
    public bool IsLast => JobStatus.IsFinal(Status) && Next >= Total;
}

/// <summary>The outcome of appending chunks.</summary>
public enum AppendOutcome
{
    Appended,

    /// <summary>The attempt is no longer the current attempt of the job.</summary>
    Stale,

    /// <summary>The log would exceed its limit.</summary>
    Full,

    /// <summary>The jobs of the endpoint, or of the key, would exceed their limit of bytes.</summary>
    NoRoom,

    /// <summary>An earlier attempt streamed different data at this index.</summary>
    Diverged,

    /// <summary>The log has fewer chunks than the attempt appended before: Redis lost its last writes.</summary>
    Gap,
}

/// <summary>
/// The result of an end. <see cref="Ended"/>: this call ended the job, or an earlier call of the same attempt with the
/// same status did. Otherwise <see cref="Status"/> is the status that the job had.
/// </summary>
public readonly record struct EndResult(string Id, bool Known, bool Ended, string Status);
