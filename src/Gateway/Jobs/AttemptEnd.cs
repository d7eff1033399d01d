using Sluice.Core.Jobs;

namespace Sluice.Gateway.Jobs;

/// <summary>What kind of end an attempt came to.</summary>
public enum AttemptKind
{
    /// <summary>It has an output.</summary>
    Completed,

    /// <summary>It ends its job without one.</summary>
    Failed,

    /// <summary>It came to nothing; the job may have another one.</summary>
    Lost,

    /// <summary>It was not wanted any more.</summary>
    Stopped,
}

/// <summary>How an attempt ended.</summary>
public sealed record AttemptEnd(AttemptKind Kind)
{
    /// <summary>The job's status that a failure makes.</summary>
    public string Status { get; init; } = "";

    public JobError? Error { get; init; }

    /// <summary>JSON.</summary>
    public ReadOnlyMemory<byte> Output { get; init; }

    /// <summary>What the job keeps of its worker.</summary>
    public RunTrace Ran { get; init; }

    /// <summary>A lost attempt counts against the job's limit.</summary>
    public bool Counted { get; init; } = true;

    /// <summary>The worker is to be looked at before it gets more.</summary>
    public bool WorkerBroke { get; init; }

    /// <summary>The connection to the worker ended without an answer, after the worker had the job.</summary>
    public bool WorkerLost { get; init; }

    public static AttemptEnd Failed(string status, JobError error) => new(AttemptKind.Failed) { Status = status, Error = error };

    /// <summary>The handler, or its answer, was at fault.</summary>
    public static AttemptEnd Failed(string code, string message, bool retryable = false) =>
        Failed(JobStatus.Failed, new JobError(code, message, retryable));

    public static AttemptEnd Again(string why, bool counted, bool workerBroke = false) =>
        new(AttemptKind.Lost) { Error = new JobError("", why, true), Counted = counted, WorkerBroke = workerBroke };

    /// <param name="why">In words.</param>
    /// <param name="seen">Whether the worker had the job; a worker that could not be connected to had not.</param>
    public static AttemptEnd Lost(string why, bool seen) => Again(why, counted: seen, workerBroke: true) with { WorkerLost = seen };
}
