namespace Sluice.Storage.Queueing;

/// <summary>A ticket (by queue entry or by id) and the pod whose slot it was granted.</summary>
public readonly record struct SlotGrant(string Ticket, string Pod)
{
    /// <summary>
    /// Whether the ticket is isolated: its number then has 9 as its first digit (<c>isolated.part.lua</c>).
    /// </summary>
    public bool IsIsolated => Ticket.StartsWith('9');
}
