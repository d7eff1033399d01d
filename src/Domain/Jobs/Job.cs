using Sluice.Domain.Fleet;

namespace Sluice.Domain.Jobs;

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
