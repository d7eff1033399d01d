using Sluice.Domain.Jobs;

namespace Sluice.Storage.Queueing;

/// <summary>The report of a holder when it renews its lease.</summary>
public sealed record RenewReport(string Holder, TimeSpan Lease, int Busy, long Completed,
    IReadOnlyList<SlotCount> Slots, IReadOnlyList<string> Accepted, IReadOnlyList<string> Running,
    IReadOnlyList<string> Queued)
{
    /// <summary>Slot usage since the last report: milliseconds in use, summed over slots.</summary>
    public long ServedMs { get; init; }

    /// <summary>
    /// The number of slots in use that were claimed for jobs which the holder does not run. Such a slot is a leak; the
    /// invariant check reports it.
    /// </summary>
    public int Unowned { get; init; }

    /// <summary>The token for the fences of claims in the answer; see <see cref="Fence.NewToken"/>.</summary>
    public string Token { get; init; } = "";
}
