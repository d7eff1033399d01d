using Sluice.Domain.Jobs;

namespace Sluice.Storage.Queueing;

/// <summary>
/// A job that a holder must run on a pod or, when <see cref="Why"/> is <c>expired</c> or <c>exhausted</c>, end without
/// running it.
/// </summary>
/// <param name="Id">The job.</param>
/// <param name="Attempt">The number of the attempt.</param>
/// <param name="Pod">The pod whose slot it got; empty when the job must not run.</param>
/// <param name="Why">
/// <c>expired</c> or <c>exhausted</c> (no attempts left): the job must not run. <see cref="IsolatedRun"/> or empty: it
/// must run.
/// </param>
/// <param name="Timeout">The time limit of the attempt.</param>
/// <param name="Input">JSON, or a reference; null: the input must be read separately.</param>
/// <param name="S3">The s3Config of the client as JSON, or the path of the job; null: none.</param>
/// <param name="Queued">When the job was last queued; the default value: unknown.</param>
public sealed record JobClaim(
    string Id,
    int Attempt,
    string Pod,
    string Why = "",
    TimeSpan Timeout = default,
    byte[]? Input = null,
    byte[]? S3 = null,
    DateTimeOffset Queued = default)
{
    /// <summary>The job lost a worker before: it has all slots of its pod.</summary>
    public const string IsolatedRun = "isolated";

    /// <summary>The token of the call that claimed the job.</summary>
    public string Token { get; init; } = "";

    /// <summary>The flow of the job; empty: it must be read separately.</summary>
    public string Flow { get; init; } = "";

    /// <summary>The span of its submission (<see cref="JobSubmission.Trace"/>); null: none, or unknown.</summary>
    public string? Trace { get; init; }

    /// <summary>The tokens that its worker was charged for it; 0: none.</summary>
    public long Tokens { get; init; }

    /// <summary>The fence that every later write about the job must match.</summary>
    public Fence Fence => new(Attempt, Token);

    public bool IsIsolated => Why == IsolatedRun;
}
