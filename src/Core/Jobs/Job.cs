using Sluice.Core.Workers;

namespace Sluice.Core.Jobs;

/// <summary>What becomes of a job; the names are those of RunPod's API, which its clients compare.</summary>
public static class JobStatus
{
    public const string Queued = "IN_QUEUE";
    public const string Running = "IN_PROGRESS";
    public const string Completed = "COMPLETED";
    public const string Failed = "FAILED";
    public const string Cancelled = "CANCELLED";
    public const string TimedOut = "TIMED_OUT";

    public static IReadOnlyList<string> All { get; } = [Queued, Running, Completed, Failed, Cancelled, TimedOut];

    /// <summary>Whether a job in this status will never change again (but by a retry that somebody orders).</summary>
    public static bool IsFinal(string status) => status is not (Queued or Running);
}

/// <summary>A stored request, as it is at one moment.</summary>
public sealed record Job
{
    public required string Id { get; init; }

    public required string EndpointId { get; init; }

    /// <summary>One of <see cref="JobStatus"/>.</summary>
    public required string Status { get; init; }

    /// <summary>Whose it is: an API key's id, or the public.</summary>
    public required string Flow { get; init; }

    /// <summary>The fence: how often it was claimed.</summary>
    public int Attempt { get; init; }

    /// <summary>Attempts that were given a worker and count.</summary>
    public int Runs { get; init; }

    public int MaxRuns { get; init; }

    public bool LowPriority { get; init; }

    public DateTimeOffset Submitted { get; init; }

    /// <summary>It is not begun after this.</summary>
    public DateTimeOffset Deadline { get; init; }

    /// <summary>How long an attempt may run.</summary>
    public TimeSpan Timeout { get; init; }

    /// <summary>Begin of the present, or last, attempt.</summary>
    public DateTimeOffset? Started { get; init; }

    public DateTimeOffset? Ended { get; init; }

    /// <summary>The worker of the present, or last, attempt.</summary>
    public string? Worker { get; init; }

    /// <summary>The execution provider that the worker ran it on, where the worker says so.</summary>
    public string? Provider { get; init; }

    /// <summary>When it last began to wait: as it was submitted, or as its last attempt was lost.</summary>
    public DateTimeOffset Queued { get; init; }

    /// <summary>When its worker had become ready, by the worker's host.</summary>
    public DateTimeOffset? WorkerReady { get; init; }

    /// <summary>Where the time of that worker's start went, when the job waited for it.</summary>
    public IReadOnlyList<StartStage> WorkerStart { get; init; } = [];

    /// <summary>The part of the last wait in which its worker was not ready yet.</summary>
    public TimeSpan Cold => WorkerReady is not { } ready || Started is not { } started || ready <= Queued ? TimeSpan.Zero
        : (ready < started ? ready : started) - Queued;

    /// <summary>JSON; null: there is none.</summary>
    public ReadOnlyMemory<byte>? Output { get; init; }

    public JobError? Error { get; init; }

    /// <summary>Attempts that came to no result, oldest first.</summary>
    public IReadOnlyList<LostAttempt> Lost { get; init; } = [];

    /// <summary>Its data is gone; the rest is still known for a while.</summary>
    public bool Expired { get; init; }

    /// <summary>Tickets before it; -1: it does not wait.</summary>
    public int Place { get; init; } = -1;

    /// <summary>How long this endpoint's jobs run, smoothed; null: none has completed.</summary>
    public TimeSpan? MeanRun { get; init; }

    /// <summary>Redis' clock when it was read.</summary>
    public DateTimeOffset Now { get; init; }

    public bool IsFinal => JobStatus.IsFinal(Status);
}

/// <summary>An attempt that came to no result.</summary>
public sealed record LostAttempt(int Attempt, string Worker, DateTimeOffset Started, DateTimeOffset Ended, string Why);

/// <summary>What a job keeps of the worker that it ran on.</summary>
/// <param name="WorkerReady">When that had become ready, by its host's clock.</param>
/// <param name="WorkerStart">Where the time of its start went, as <see cref="StartStages"/> packs it, when the job waited for it.</param>
/// <param name="Provider">The execution provider, where the worker says so.</param>
public readonly record struct RunTrace(DateTimeOffset WorkerReady, string? WorkerStart, string? Provider);

/// <summary>Why a job has no output.</summary>
/// <param name="Code">For programs; see <see cref="JobErrors"/>.</param>
/// <param name="Message">For people.</param>
/// <param name="Retryable">Whether the same input may succeed when it is tried again.</param>
public sealed record JobError(string Code, string Message, bool Retryable);

/// <summary>The codes of <see cref="JobError"/>.</summary>
public static class JobErrors
{
    /// <summary>The handler answered an error.</summary>
    public const string Handler = "HANDLER_ERROR";

    /// <summary>Every attempt lost its worker; the job is a dead letter.</summary>
    public const string Exhausted = "ATTEMPTS_EXHAUSTED";

    /// <summary>It ran longer than its executionTimeout, or its worker was silent for too long.</summary>
    public const string Timeout = "EXECUTION_TIMEOUT";

    /// <summary>It waited for longer than its ttl.</summary>
    public const string Expired = "TTL_EXPIRED";

    public const string OutputTooLarge = "OUTPUT_TOO_LARGE";

    public const string StreamTooLarge = "STREAM_TOO_LARGE";

    /// <summary>A later attempt streamed something else than the one before it had.</summary>
    public const string StreamDiverged = "STREAM_DIVERGED";

    /// <summary>The worker's answer is no JSON, or none of the documented form.</summary>
    public const string AnswerInvalid = "WORKER_ANSWER_INVALID";

    /// <summary>The output could not be stored.</summary>
    public const string OutputLost = "OUTPUT_NOT_STORED";

    /// <summary>The input could not be read again.</summary>
    public const string InputLost = "INPUT_NOT_READABLE";

    public const string Cancelled = "CANCELLED";

    public const string EndpointGone = "ENDPOINT_DELETED";

    /// <summary>The gateway could not handle the job: a bug, told in its log.</summary>
    public const string Gateway = "GATEWAY_ERROR";
}

/// <summary>Ends of jobs that are the same wherever they are found out.</summary>
public static class JobEnds
{
    public static JobError WaitedTooLong { get; } = new(JobErrors.Expired, "the job waited for longer than its ttl", true);
}
