namespace Sluice.Gateway.Authentication;

/// <summary>Route metadata: successful requests of the route are entries of the audit log.</summary>
/// <param name="Action">Method and route.</param>
public sealed record Audited(string Action);
