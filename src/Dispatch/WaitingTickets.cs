namespace Sluice.Dispatch;

/// <summary>
/// Tracks the waiting tickets of one gateway for one endpoint: tickets that are not sent to Redis yet, tickets in the
/// Redis queue, and queue entries whose callers have stopped waiting. Not thread-safe: the owner synchronizes access.
/// </summary>
internal sealed class WaitingTickets
{
    private readonly List<Ticket> fresh = [];
    private readonly Dictionary<string, Ticket> queued = [];
    private readonly List<string> abandoned = [];

    /// <summary>Whether a ticket is not sent to Redis yet.</summary>
    public bool HasFresh => fresh.Count > 0;

    /// <summary>Whether a ticket that is not sent to Redis yet generates text.</summary>
    public bool HasFreshTokens => fresh.Exists(t => t.Request.Tokens > 0);

    /// <summary>Whether a ticket is in the Redis queue.</summary>
    public bool HasQueued => queued.Count > 0;

    /// <summary>Whether no ticket waits and no abandoned entry is left to remove.</summary>
    public bool IsEmpty => fresh.Count + queued.Count + abandoned.Count == 0;

    /// <summary>Returns the queue entries of the tickets.</summary>
    public string[] Entries() => [.. queued.Keys];

    /// <summary>Adds the ticket of a new request.</summary>
    public void Add(Ticket ticket)
    {
        // Insert it before all other tickets, but after earlier front and isolated tickets.
        if (ticket.Request.Front || ticket.Request.Isolated)
        {
            var at = fresh.FindIndex(t => !t.Request.Front && !t.Request.Isolated);
            fresh.Insert(at >= 0 ? at : fresh.Count, ticket);
        }
        else
        {
            fresh.Add(ticket);
        }
    }

    /// <summary>
    /// Takes the next ticket that needs one slot. An isolated ticket is left to Redis, and the tickets behind it wait
    /// for the exchange.
    /// </summary>
    /// <param name="mayHaveTokens">Whether the slot can serve a request that generates text.</param>
    public Ticket? TakeNext(bool mayHaveTokens)
    {
        while (fresh.Count > 0 && !fresh[0].Request.Isolated && (mayHaveTokens || fresh[0].Request.Tokens == 0))
        {
            var ticket = fresh[0];
            fresh.RemoveAt(0);
            if (!ticket.Done) return ticket;
        }

        return null;
    }

    /// <summary>Takes all tickets that are not sent to Redis yet.</summary>
    public List<Ticket> TakeFresh()
    {
        fresh.RemoveAll(t => t.Done);
        return fresh.Drain();
    }

    /// <summary>Takes the queue entries whose callers have stopped waiting.</summary>
    public List<string> TakeAbandoned() => abandoned.Drain();

    /// <summary>Takes the ticket of a queue entry; null if it is not queued.</summary>
    public Ticket? TakeQueued(string entry) => queued.Remove(entry, out var ticket) ? ticket : null;

    /// <summary>Records that Redis has queued a ticket.</summary>
    public void Enqueue(Ticket ticket, string entry)
    {
        ticket.Entry = entry;
        if (ticket.Done) abandoned.Add(entry);
        else queued[entry] = ticket;
    }

    /// <summary>Records that the caller of a ticket has stopped waiting.</summary>
    public void Abandon(Ticket ticket)
    {
        if (ticket.Entry is { } entry && queued.Remove(entry)) abandoned.Add(entry);
    }

    /// <summary>Puts a ticket before all others, to be sent to Redis again.</summary>
    public void PutFirst(Ticket ticket) => fresh.Insert(0, ticket);

    /// <summary>
    /// Puts the tickets of a failed exchange before all others. Rejects all tickets that are not in the Redis queue and
    /// that <paramref name="isLate"/> selects.
    /// </summary>
    public void PutFirst(List<Ticket> sent, Func<Ticket, bool> isLate, AcquireResult refusal)
    {
        fresh.InsertRange(0, sent);
        foreach (var ticket in fresh)
            if (isLate(ticket)) ticket.TryComplete(refusal);
    }

    /// <summary>Puts a queued ticket that Redis does not know before all others, to be sent again.</summary>
    public void SendAgain(string entry)
    {
        if (queued.Remove(entry, out var ticket)) fresh.Insert(0, ticket);
    }

    /// <summary>
    /// Handles a lost lease: all queued tickets and those in <paramref name="sent"/> must be sent again, in the order
    /// of their arrival. The abandoned entries no longer exist.
    /// </summary>
    public void SendAllAgain(IEnumerable<Ticket> sent)
    {
        abandoned.Clear();
        fresh.InsertRange(0, queued.Values.Concat(sent).OrderBy(t => t.Since));
        queued.Clear();
    }

    /// <summary>Rejects all tickets.</summary>
    public void RejectAll(AcquireResult refusal)
    {
        foreach (var (entry, ticket) in queued)
        {
            abandoned.Add(entry);
            ticket.TryComplete(refusal);
        }

        queued.Clear();
        foreach (var ticket in fresh) ticket.TryComplete(refusal);
        fresh.Clear();
    }
}
