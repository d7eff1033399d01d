using Sluice.Domain.Jobs;
using Sluice.Domain.Usage;

namespace Sluice.Gateway.Jobs;

/// <summary>The outcome of an attempt.</summary>
public enum AttemptKind
{
    /// <summary>The attempt has an output.</summary>
    Completed,

    /// <summary>The attempt has no output, and its job fails.</summary>
    Failed,

    /// <summary>The attempt has no result. The job returns to the queue if it may have another attempt.</summary>
    Lost,

    /// <summary>The attempt was stopped, because its job was cancelled or the gateway lost the job.</summary>
    Stopped,
}

/// <summary>The result of an attempt.</summary>
public sealed record AttemptOutcome(AttemptKind Kind)
{
    /// <summary>The status of the job after a failure.</summary>
    public string Status { get; init; } = "";

    /// <summary>The error of a failed or lost attempt.</summary>
    public JobError? Error { get; init; }

    /// <summary>The output, as JSON.</summary>
    public ReadOnlyMemory<byte> Output { get; init; }

    /// <summary>The data about the worker that is stored with the job.</summary>
    public RunTrace Ran { get; init; }

    /// <summary>What the attempt used, except for its output.</summary>
    public WorkUsage Used { get; init; }

    /// <summary>Whether a lost attempt counts toward the limit of attempts.</summary>
    public bool Counted { get; init; } = true;

    /// <summary>Whether the worker must pass a readiness check before it gets more work.</summary>
    public bool WorkerBroke { get; init; }

    /// <summary>Whether the connection to the worker ended without a response after the job was sent.</summary>
    public bool WorkerLost { get; init; }

    /// <summary>Returns a failure with a job status.</summary>
    public static AttemptOutcome Failed(string status, JobError error) =>
        new(AttemptKind.Failed) { Status = status, Error = error };

    /// <summary>Returns a failure with the status FAILED, for an error of the handler or an invalid response.</summary>
    public static AttemptOutcome Failed(string code, string message, bool retryable = false) =>
        Failed(JobStatus.Failed, new JobError(code, message, retryable));

    /// <summary>Returns a lost attempt, so that the job returns to the queue.</summary>
    /// <param name="why">The reason, as text.</param>
    /// <param name="counted">Whether the attempt counts toward the limit of attempts.</param>
    /// <param name="workerBroke">Whether the worker must pass a readiness check before it gets more work.</param>
    public static AttemptOutcome Requeue(string why, bool counted, bool workerBroke = false) =>
        new(AttemptKind.Lost) { Error = new JobError("", why, true), Counted = counted, WorkerBroke = workerBroke };

    /// <summary>Returns an attempt that lost its worker.</summary>
    /// <param name="why">The reason, as text.</param>
    /// <param name="received">Whether the worker received the job. It is false if the connection could not be
    /// opened.</param>
    public static AttemptOutcome Lost(string why, bool received) =>
        Requeue(why, counted: received, workerBroke: true) with { WorkerLost = received };
}
