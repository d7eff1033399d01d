namespace Sluice.Gateway.Forwarding;

/// <summary>An outcome with the details for the client.</summary>
/// <param name="Outcome">The outcome.</param>
/// <param name="Detail">The error text.</param>
/// <param name="RetryAfter">The time after which a retry can succeed; zero if unknown.</param>
/// <param name="Unseen">Whether the connection to the worker failed, so that it did not receive the request.</param>
public readonly record struct ForwardResult(
    ForwardOutcome Outcome,
    string Detail = "",
    TimeSpan RetryAfter = default,
    bool Unseen = false)
{
    /// <summary>
    /// Whether the worker ended the exchange abnormally. The worker is then probed before its next request.
    /// </summary>
    public bool WorkerBroke { get; init; }

    /// <summary>Whether the worker was lost while this request was certainly its only work.</summary>
    public bool WasAlone { get; init; }
}
