using System.Text.Json;

namespace Sluice.Gateway.Jobs;

/// <summary>
/// The form of a job in responses, for the OpenAPI document. <see cref="JobView"/> writes it, because it copies the
/// stored output without parsing it. Times are in ms. A field without a value is omitted.
/// </summary>
/// <param name="Id">The job id.</param>
/// <param name="Status">The status of the job.</param>
/// <param name="Retries">The number of attempts after the first.</param>
/// <param name="Timings">When the job was submitted, started and ended.</param>
public sealed record JobResponse(string Id, string Status, int Retries, JobTimings Timings)
{
    /// <summary>The time from the submission to the start.</summary>
    public double? DelayTime { get; init; }

    /// <summary>The time from the start to the end.</summary>
    public double? ExecutionTime { get; init; }

    /// <summary>The result: any JSON.</summary>
    public JsonElement? Output { get; init; }

    /// <summary>The error text of a failed job.</summary>
    public string? Error { get; init; }

    /// <summary>The error of a failed job with its code.</summary>
    public JobErrorInfo? ErrorInfo { get; init; }

    /// <summary>The worker of the last attempt.</summary>
    public string? WorkerId { get; init; }

    /// <summary>The execution provider of the worker.</summary>
    public string? Provider { get; init; }

    /// <summary>True if the data of the job was deleted after its retention.</summary>
    public bool? Expired { get; init; }

    /// <summary>The stages of the worker start that the job waited for, in ms by name.</summary>
    public IReadOnlyDictionary<string, double>? ColdStart { get; init; }

    /// <summary>The attempts that lost their worker.</summary>
    public IReadOnlyList<LostJobAttempt>? Attempts { get; init; }

    /// <summary>The position of a queued job and its wait reason.</summary>
    public QueueView? Queue { get; init; }
}

/// <summary>The error of a job.</summary>
public sealed record JobErrorInfo(string Code, string Message, bool Retryable);

/// <summary>The times of a job.</summary>
public sealed record JobTimings(DateTimeOffset SubmittedAt)
{
    public DateTimeOffset? StartedAt { get; init; }

    public double? QueueMs { get; init; }

    public double? ColdMs { get; init; }

    public double? ExecutionMs { get; init; }

    public DateTimeOffset? EndedAt { get; init; }

    public double? TotalMs { get; init; }
}

/// <summary>An attempt that lost its worker.</summary>
public sealed record LostJobAttempt(
    int Attempt, string Worker, DateTimeOffset StartedAt, DateTimeOffset EndedAt, string Reason);

/// <summary>A page of jobs. <paramref name="Next"/> is the offset of the next page; the last page omits it.</summary>
public sealed record JobList(
    IReadOnlyList<JobResponse> Requests, int Offset, int Limit, bool HasMore, int? Next = null);
