using Sluice.Core.Workers;

namespace Sluice.Core.Jobs;

/// <summary>The status values of jobs. The names are those of the RunPod API, whose clients compare them.</summary>
public static class JobStatus
{
    public const string Queued = "IN_QUEUE";
    public const string Running = "IN_PROGRESS";
    public const string Completed = "COMPLETED";
    public const string Failed = "FAILED";
    public const string Cancelled = "CANCELLED";
    public const string TimedOut = "TIMED_OUT";

    public static IReadOnlyList<string> All { get; } = [Queued, Running, Completed, Failed, Cancelled, TimedOut];

    /// <summary>Whether a job in this status no longer changes, unless a client retries it.</summary>
    public static bool IsFinal(string status) => status is not (Queued or Running);
}

/// <summary>A stored job, as it was at one moment.</summary>
public sealed record Job
{
    public required string Id { get; init; }

    public required string EndpointId { get; init; }

    /// <summary>One of the values of <see cref="JobStatus"/>.</summary>
    public required string Status { get; init; }

    /// <summary>The owner: the id of an API key, or the public flow.</summary>
    public required string Flow { get; init; }

    /// <summary>The attempt number: how often the job was claimed.</summary>
    public int Attempt { get; init; }

    /// <summary>
    /// The number of attempts that were assigned to a worker and count against <see cref="MaxRuns"/>.
    /// </summary>
    public int Runs { get; init; }

    public int MaxRuns { get; init; }

    public bool LowPriority { get; init; }

    public DateTimeOffset Submitted { get; init; }

    /// <summary>The time after which the job is not started.</summary>
    public DateTimeOffset Deadline { get; init; }

    /// <summary>The time limit of an attempt.</summary>
    public TimeSpan Timeout { get; init; }

    /// <summary>When the current or last attempt started.</summary>
    public DateTimeOffset? Started { get; init; }

    public DateTimeOffset? Ended { get; init; }

    /// <summary>The worker of the current or last attempt.</summary>
    public string? Worker { get; init; }

    /// <summary>The execution provider that ran the job, if the worker reports it.</summary>
    public string? Provider { get; init; }

    /// <summary>When the job was last queued: at its submission, or when its last attempt was lost.</summary>
    public DateTimeOffset Queued { get; init; }

    /// <summary>When its worker became ready, by the clock of the worker's host.</summary>
    public DateTimeOffset? WorkerReady { get; init; }

    /// <summary>The stages of the worker's start, if the job waited for it.</summary>
    public IReadOnlyList<StartStage> WorkerStart { get; init; } = [];

    /// <summary>The part of the last wait before its worker was ready.</summary>
    public TimeSpan Cold
    {
        get
        {
            if (WorkerReady is not { } ready || Started is not { } started || ready <= Queued) return TimeSpan.Zero;
            return (ready < started ? ready : started) - Queued;
        }
    }

    /// <summary>The output as JSON; null: there is none.</summary>
    public ReadOnlyMemory<byte>? Output { get; init; }

    public JobError? Error { get; init; }

    /// <summary>The attempts that produced no result, oldest first.</summary>
    public IReadOnlyList<LostAttempt> Lost { get; init; } = [];

    /// <summary>Whether its data was deleted; the other properties stay available for a while.</summary>
    public bool Expired { get; init; }

    /// <summary>The number of tickets before it; -1: the job is not queued.</summary>
    public int Place { get; init; } = -1;

    /// <summary>The smoothed run time of the jobs of this endpoint; null: none has completed.</summary>
    public TimeSpan? MeanRun { get; init; }

    /// <summary>The time of the Redis clock when the job was read.</summary>
    public DateTimeOffset Now { get; init; }

    public bool IsFinal => JobStatus.IsFinal(Status);
}

/// <summary>An attempt that produced no result.</summary>
public sealed record LostAttempt(int Attempt, string Worker, DateTimeOffset Started, DateTimeOffset Ended, string Why);

/// <summary>What a job records about its worker.</summary>
/// <param name="WorkerReady">When the worker became ready, by the clock of its host.</param>
/// <param name="WorkerStart">
/// The stages of the worker's start in the format of <see cref="StartStages"/>, if the job waited for it.
/// </param>
/// <param name="Provider">The execution provider, if the worker reports it.</param>
public readonly record struct RunTrace(DateTimeOffset WorkerReady, string? WorkerStart, string? Provider);

/// <summary>Why a job has no output.</summary>
/// <param name="Code">The machine-readable code; see <see cref="JobErrors"/>.</param>
/// <param name="Message">The description for users.</param>
/// <param name="Retryable">Whether a retry with the same input may succeed.</param>
public sealed record JobError(string Code, string Message, bool Retryable);

/// <summary>The codes of <see cref="JobError"/>.</summary>
public static class JobErrors
{
    /// <summary>The handler returned an error.</summary>
    public const string Handler = "HANDLER_ERROR";

    /// <summary>Every attempt lost its worker; the job is a dead letter.</summary>
    public const string Exhausted = "ATTEMPTS_EXHAUSTED";

    /// <summary>The job ran longer than its executionTimeout, or its worker sent nothing for too long.</summary>
    public const string Timeout = "EXECUTION_TIMEOUT";

    /// <summary>The job was queued longer than its ttl.</summary>
    public const string Expired = "TTL_EXPIRED";

    public const string OutputTooLarge = "OUTPUT_TOO_LARGE";

    public const string StreamTooLarge = "STREAM_TOO_LARGE";

    /// <summary>A later attempt streamed different data than the attempt before it.</summary>
    public const string StreamDiverged = "STREAM_DIVERGED";

    /// <summary>The response of the worker is not JSON, or does not have the documented form.</summary>
    public const string AnswerInvalid = "WORKER_ANSWER_INVALID";

    /// <summary>The output could not be stored.</summary>
    public const string OutputLost = "OUTPUT_NOT_STORED";

    /// <summary>The input could not be read again.</summary>
    public const string InputLost = "INPUT_NOT_READABLE";

    public const string Cancelled = "CANCELLED";

    public const string EndpointGone = "ENDPOINT_DELETED";

    /// <summary>The gateway could not process the job: a bug, which its log describes.</summary>
    public const string Gateway = "GATEWAY_ERROR";
}

/// <summary>Errors of jobs that are detected in several places.</summary>
public static class JobEnds
{
    public static JobError WaitedTooLong { get; } =
        new(JobErrors.Expired, "the job was queued longer than its ttl", true);
}
