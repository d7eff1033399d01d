using Sluice.Storage.Queueing;

namespace Sluice.Dispatch;

/// <summary>
/// The pending operations of one gateway for one endpoint, collected since the last exchange with Redis.
/// </summary>
internal sealed record PendingOperations
{
    public required string Holder { get; init; }

    /// <summary>Whether this gateway has no lease for the endpoint.</summary>
    public required bool FirstLease { get; init; }

    /// <summary>Workers that could not be reached.</summary>
    public required List<string> Unreachable { get; init; }

    /// <summary>Queue entries whose callers are gone.</summary>
    public required List<string> Abandoned { get; init; }

    /// <summary>Slots to return.</summary>
    public required SlotCount[] GiveBack { get; init; }

    /// <summary>Attempts that ended, with the tasks that wait for the result.</summary>
    public required List<PendingEnd> Ends { get; init; }

    /// <summary>Whether to look for free slots: tickets wait although no slot is returned.</summary>
    public required bool GrantPass { get; init; }

    /// <summary>Grants to tickets of this gateway, made when another gateway released slots.</summary>
    public required List<SlotGrant> Arrived { get; init; }

    /// <summary>Tickets that were not sent to Redis yet.</summary>
    public required List<Ticket> Fresh { get; init; }

    /// <summary>The number of slots to lease in addition to those of the tickets.</summary>
    public required int Spare { get; init; }

    /// <summary>Whether to check if workers of the endpoint can still start.</summary>
    public required bool CheckBlocked { get; init; }

    public required bool Renew { get; init; }

    /// <summary>
    /// Whether the outcome of an exchange is unknown, so Redis must report which tickets of this gateway it has.
    /// </summary>
    public required bool Resync { get; init; }

    /// <summary>The ends that Redis has not answered.</summary>
    public IEnumerable<PendingEnd> Unanswered => Ends.Where(end => !end.Stored.Task.IsCompleted);

    /// <summary>Whether there are slots or ends to return.</summary>
    public bool HasReturns => GiveBack.Length + Ends.Count > 0;

    public bool IsEmpty =>
        Unreachable.Count + Abandoned.Count + GiveBack.Length + Ends.Count + Arrived.Count + Fresh.Count == 0
        && !GrantPass && !CheckBlocked && !Renew;
}
