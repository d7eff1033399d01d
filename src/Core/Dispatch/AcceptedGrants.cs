namespace Sluice.Core.Dispatch;

/// <summary>
/// Grants that came from other gateways and were taken: told to Redis with the next renewal, and remembered a while
/// longer, because the same grant can come twice (by message and by renewal). Plain data; its owner guards it.
/// </summary>
internal sealed class AcceptedGrants
{
    /// <summary>Renewals that a grant is remembered for after Redis has heard of it.</summary>
    private const int Memory = 5;

    private readonly HashSet<string> open = [];
    private readonly Queue<IReadOnlyList<string>> past = [];
    private readonly HashSet<string> known = [];

    public bool Any => open.Count > 0;

    /// <summary>False when this grant was taken before.</summary>
    public bool Add(string entry) => known.Add(entry) && open.Add(entry);

    /// <summary>Those that Redis has not heard of.</summary>
    public IReadOnlyList<string> Take() => [.. open];

    public void Acknowledge(IReadOnlyList<string> entries)
    {
        open.ExceptWith(entries);
        past.Enqueue(entries);
        if (past.Count > Memory) known.ExceptWith(past.Dequeue());
    }
}
