namespace Sluice.Core.Jobs;

/// <summary>A job to be stored.</summary>
public sealed record JobSubmission
{
    public required string Id { get; init; }

    public required string EndpointId { get; init; }

    /// <summary>Whose share of the queue it counts against.</summary>
    public required string Flow { get; init; }

    /// <summary>The flow's share beside the others'.</summary>
    public double Weight { get; init; } = 1;

    /// <summary>JSON text of the input.</summary>
    public required ReadOnlyMemory<byte> Input { get; init; }

    /// <summary>JSON text of the client's s3Config, passed to the worker.</summary>
    public byte[]? S3 { get; init; }

    public required TimeSpan Ttl { get; init; }

    public required TimeSpan Timeout { get; init; }

    public required TimeSpan Retention { get; init; }

    public required int MaxRuns { get; init; }

    public required int MaxQueued { get; init; }

    /// <summary>Jobs that the flow may have waiting; 0: no limit.</summary>
    public int FlowMaxQueued { get; init; }

    /// <summary>Bytes that the endpoint's jobs may occupy in Redis; 0: no limit.</summary>
    public long MaxBytes { get; init; }

    /// <summary>Bytes that the flow's jobs may occupy in Redis; 0: no limit.</summary>
    public long FlowMaxBytes { get; init; }

    public bool LowPriority { get; init; }

    public string? Webhook { get; init; }

    /// <summary>The client's Idempotency-Key; null: none.</summary>
    public string? IdempotencyKey { get; init; }

    /// <summary>Of the request body, where there is a key: another body under the same Idempotency-Key is a mistake.</summary>
    public string Digest { get; init; } = "";

    /// <summary>The gateway that is to be told when it ends; null: none.</summary>
    public string? Watcher { get; init; }
}

/// <summary>What became of a submission.</summary>
public enum SubmitOutcome
{
    /// <summary>It is stored and queued.</summary>
    Queued,

    /// <summary>The Idempotency-Key stands for this job already.</summary>
    Same,

    /// <summary>The Idempotency-Key stands for a job with another body.</summary>
    Conflict,

    /// <summary>The endpoint's queue of jobs is at its limit.</summary>
    QueueFull,

    /// <summary>The key's part of it is at its limit.</summary>
    FlowFull,

    /// <summary>The endpoint's jobs would occupy more bytes than they may.</summary>
    BytesFull,

    /// <summary>The key's jobs at the endpoint would occupy more bytes than they may.</summary>
    FlowBytesFull,
}

/// <param name="Outcome">What became of it.</param>
/// <param name="Id">The job.</param>
/// <param name="Held">Jobs that wait, or bytes that jobs occupy, where a limit of these refused it.</param>
public readonly record struct SubmitResult(SubmitOutcome Outcome, string Id, long Held = 0);

/// <summary>A part of a job's stream.</summary>
/// <param name="Status">Of the job; empty: there is no such job.</param>
/// <param name="Expired">Its data is gone.</param>
/// <param name="First">Index of the first chunk.</param>
/// <param name="Total">Chunks in the log.</param>
/// <param name="Chunks">JSON texts.</param>
public sealed record JobPart(string Status, bool Expired, int First, int Total, IReadOnlyList<byte[]> Chunks)
{
    /// <summary>Index of the chunk after these.</summary>
    public int Next => First + Chunks.Count;

    /// <summary>Nothing will follow.</summary>
    public bool IsLast => JobStatus.IsFinal(Status) && Next >= Total;
}

/// <summary>What became of appended chunks.</summary>
public enum AppendOutcome
{
    Appended,

    /// <summary>The attempt is not the job's present one any more.</summary>
    Stale,

    /// <summary>The log would be over its limit.</summary>
    Full,

    /// <summary>The endpoint's jobs, or the key's, would occupy more bytes than they may.</summary>
    NoRoom,

    /// <summary>An earlier attempt streamed something else at this place.</summary>
    Diverged,

    /// <summary>The log has less than the attempt added before: Redis lost its last writes.</summary>
    Gap,
}

/// <summary>What an end did. <see cref="Ended"/>: this call ended it, or an earlier one of the same attempt with the same status did; else
/// <see cref="Status"/> is what it was.</summary>
public readonly record struct EndResult(string Id, bool Known, bool Ended, string Status);
