namespace Sluice.Gateway.Authentication;

/// <summary>A ticket for one WebSocket.</summary>
/// <param name="Ticket">The value of <c>?ticket=</c>.</param>
/// <param name="ExpiresAt">When it expires.</param>
public sealed record SocketTicket(string Ticket, DateTimeOffset ExpiresAt);
