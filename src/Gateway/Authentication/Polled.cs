namespace Sluice.Gateway.Authentication;

/// <summary>Route metadata: clients poll the route, so that <see cref="StatusPollRateLimiter"/> applies.</summary>
public sealed record Polled;
