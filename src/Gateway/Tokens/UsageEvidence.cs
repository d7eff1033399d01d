namespace Sluice.Gateway.Tokens;

/// <summary>How a request ended, as far as its tokens depend on it.</summary>
public enum UsageEnd
{
    /// <summary>A worker answered with a status below 400.</summary>
    Answered,

    /// <summary>A worker answered with an error.</summary>
    Error,

    /// <summary>The exchange was aborted, and the worker runs: the client left, or a limit of time ended it.</summary>
    Aborted,

    /// <summary>No worker could answer.</summary>
    Failed,
}

/// <summary>What the gateway knows about the tokens that a request used. Pure.</summary>
/// <param name="End">How the request ended.</param>
/// <param name="WasSent">Whether a worker may have received the request.</param>
/// <param name="Reported">What the worker reported to the gateway, or in the usage of its response.</param>
/// <param name="AtStart">What the worker reported at the start of a stream.</param>
/// <param name="Parts">Parts of a stream that the client has: about the number of tokens.</param>
/// <param name="Estimated">What the request was expected to use at most.</param>
/// <param name="CanReport">Whether the worker reports every use of tokens: it is the built-in one.</param>
public readonly record struct UsageEvidence(UsageEnd End, bool WasSent, TokenUsage? Reported, TokenUsage? AtStart,
    long Parts, TokenUsage Estimated, bool CanReport)
{
    /// <summary>
    /// Returns the usage. The worker's own count is used if there is one. A stream that lost its worker used what the
    /// client has. A failure of worker or gateway costs nothing. An answer without a count of a worker that does not
    /// report, and a request that its client aborted before an answer, used what was estimated: otherwise an abort
    /// would be free.
    /// </summary>
    public TokenUsage Decide()
    {
        if (!WasSent) return default;
        if (Reported is { } reported) return reported;
        if (AtStart is { } start) return start with { Generated = Math.Max(start.Generated, Parts) };
        if (Parts > 0) return Estimated with { Generated = Parts };
        return End == UsageEnd.Aborted || (End == UsageEnd.Answered && !CanReport) ? Estimated : default;
    }

    /// <summary>
    /// Returns the generated tokens that the client did not get. A client that left has about the parts of a stream.
    /// </summary>
    public long Wasted(TokenUsage usage) =>
        End == UsageEnd.Answered ? 0 : Math.Max(0, usage.Generated - Parts);
}
