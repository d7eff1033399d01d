namespace Sluice.Domain.Declarations;

/// <summary>Limits how many requests may wait for the workers of an endpoint, and how long.</summary>
public sealed record QueuePolicy
{
    /// <summary>Maximum number of waiting requests over all gateways. Further requests are rejected with 429.</summary>
    public int MaxDepth { get; init; } = 1000;

    /// <summary>Maximum waiting time of a request. After it, the response is 504.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(60);
}
