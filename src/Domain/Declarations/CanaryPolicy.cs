namespace Sluice.Domain.Declarations;

/// <summary>
/// Makes an endpoint a canary: it gets a share of the requests and jobs that name another endpoint. It has its own
/// workers, queue, limits, metrics and usage.
/// </summary>
public sealed record CanaryPolicy
{
    /// <summary>The id of the endpoint whose requests and jobs it shares. Its models are served by both.</summary>
    public required string Of { get; init; }

    /// <summary>
    /// The share in percent, 0 to 100. The canaries of an endpoint have at most 100 percent together.
    /// </summary>
    public int Weight { get; init; }
}
