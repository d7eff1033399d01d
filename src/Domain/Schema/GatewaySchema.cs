namespace Sluice.Domain.Schema;

/// <summary>A gateway with a lease, and the versions of the data that it can use.</summary>
/// <param name="HostId">The id of the gateway's host.</param>
/// <param name="Range">The versions.</param>
public sealed record GatewaySchema(string HostId, SchemaRange Range);
