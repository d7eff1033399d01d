namespace Sluice.Gateway.Authentication;

/// <summary>
/// Route metadata: a WebSocket handshake may have a ticket instead of a key. On all other routes, tickets have no
/// effect.
/// </summary>
public sealed record AcceptsSocketTickets;
