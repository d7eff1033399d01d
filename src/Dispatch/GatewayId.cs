namespace Sluice.Dispatch;

/// <summary>Identifies a gateway process: a random value, new at each start.</summary>
public sealed record GatewayId(string Value);
