namespace Sluice.Gateway.Tokens;

/// <summary>The tokens of one request or attempt of a job, until they are settled.</summary>
/// <param name="Endpoint">The endpoint.</param>
/// <param name="Flow">The id of the key, or the public flow.</param>
/// <param name="Request">The id of the reservation; empty: nothing is reserved.</param>
/// <param name="Limit">The tokens per minute of the key; 0: no limit.</param>
/// <param name="Estimated">What the request is expected to use at most.</param>
public sealed record TokenHold(string Endpoint, string Flow, string Request, long Limit, TokenUsage Estimated)
{
    /// <summary>The estimate of the prompt by its bytes; 0: the body was not read.</summary>
    public long PromptByBytes { get; init; }

    /// <summary>Whether tokens are reserved, which must be settled.</summary>
    public bool IsReserved => Request.Length > 0;
}
