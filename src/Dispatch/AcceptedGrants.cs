namespace Sluice.Dispatch;

/// <summary>
/// Tracks grants from other gateways that this gateway has accepted. The next renewal reports them to Redis.
/// </summary>
/// <remarks>
/// Grants stay known for some renewals after that, because the same grant can arrive twice (by message and by renewal).
/// Not thread-safe: the owner synchronizes access.
/// </remarks>
internal sealed class AcceptedGrants
{
    /// <summary>The number of renewals for which a grant stays known after Redis has acknowledged it.</summary>
    private const int Memory = 5;

    private readonly HashSet<string> open = [];
    private readonly Queue<IReadOnlyList<string>> past = [];
    private readonly HashSet<string> known = [];

    /// <summary>Whether any grant is not acknowledged by Redis.</summary>
    public bool HasUnacknowledged => open.Count > 0;

    /// <summary>Adds a grant. Returns false if the grant was accepted before.</summary>
    public bool Add(string entry) => known.Add(entry) && open.Add(entry);

    /// <summary>Returns the grants that Redis has not acknowledged.</summary>
    public IReadOnlyList<string> Unacknowledged() => [.. open];

    /// <summary>Marks grants as reported to Redis.</summary>
    public void Acknowledge(IReadOnlyList<string> entries)
    {
        open.ExceptWith(entries);
        past.Enqueue(entries);
        if (past.Count > Memory) known.ExceptWith(past.Dequeue());
    }
}
