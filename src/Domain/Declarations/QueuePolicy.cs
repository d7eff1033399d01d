namespace Sluice.Domain.Declarations;

/// <summary>Limits how many requests may wait for the workers of an endpoint, and how long.</summary>
public sealed record QueuePolicy
{
    /// <summary>Maximum number of waiting requests over all gateways. Further requests are rejected with 429.</summary>
    public int MaxDepth { get; init; } = 1000;

    /// <summary>Maximum waiting time of a request. After it, the response is 504.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// How often a request for a stream of text gets a comment while it waits, so that clients and proxies keep the
    /// connection. The first one commits the status 200; later errors are events of the stream. Zero: never. The WHATWG
    /// specification of server-sent events recommends about 15 seconds.
    /// </summary>
    public TimeSpan KeepAlive { get; init; } = TimeSpan.FromSeconds(15);
}
