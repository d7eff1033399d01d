using System.Globalization;

namespace Sluice.Storage.Queueing;

/// <summary>A ticket (by queue entry or by id) and the pod whose slot it was granted.</summary>
public readonly record struct SlotGrant(string Ticket, string Pod)
{
    /// <summary>
    /// Whether the ticket is isolated: its number then has 9 as its first digit (<c>isolated.part.lua</c>).
    /// </summary>
    public bool IsIsolated => Ticket.StartsWith('9');

    /// <summary>The tokens of the ticket, if this is a queue entry: they follow its id (<c>id~tokens</c>).</summary>
    public long Tokens => Ticket.Split('|') is [_, _, var id, ..] && id.LastIndexOf('~') is var at and >= 0
        && long.TryParse(id.AsSpan(at + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var tokens)
        ? tokens
        : 0;
}
