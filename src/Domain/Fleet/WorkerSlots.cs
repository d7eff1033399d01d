namespace Sluice.Domain.Fleet;

/// <summary>The slots of one worker. While it is ready, <c>Free + Leased == Capacity</c>.</summary>
public sealed record WorkerSlots(string PodId, int Capacity, int Free, int Leased, bool Draining)
{
    /// <summary>How many tokens it can hold; null: it does not say.</summary>
    public TokenCapacity? Cache { get; init; }

    /// <summary>Tokens in flight: what its requests may use, as far as it is charged.</summary>
    public long Tokens { get; init; }
}
