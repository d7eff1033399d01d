using Sluice.Core.Jobs;

namespace Sluice.Core.Dispatch;

/// <summary>What one gateway has to tell Redis about one endpoint, gathered since the last exchange.</summary>
internal sealed record DispatchWork
{
    public required string Holder { get; init; }

    /// <summary>This gateway knows that it has no lease for the endpoint.</summary>
    public required bool FirstLease { get; init; }

    /// <summary>Workers that could not be reached.</summary>
    public required List<string> Unreachable { get; init; }

    /// <summary>Queue entries whose callers are gone.</summary>
    public required List<string> Abandoned { get; init; }

    /// <summary>Slots to give back: pod and count.</summary>
    public required KeyValuePair<string, int>[] GiveBack { get; init; }

    /// <summary>Attempts that came to an end, and who waits for the answer.</summary>
    public required List<PendingEnd> Ends { get; init; }

    /// <summary>Tickets wait although nothing is given back: look for free slots.</summary>
    public required bool GrantPass { get; init; }

    /// <summary>Grants that other gateways' releases made to our tickets.</summary>
    public required List<SlotGrant> Arrived { get; init; }

    /// <summary>Tickets that Redis has not seen.</summary>
    public required List<Ticket> Fresh { get; init; }

    /// <summary>Slots to lease beside those of the tickets.</summary>
    public required int Spare { get; init; }

    /// <summary>The endpoint may have become unable to start workers.</summary>
    public required bool CheckBlocked { get; init; }

    public required bool Renew { get; init; }

    /// <summary>An exchange's outcome is unknown: ask which of our tickets Redis has.</summary>
    public required bool Resync { get; init; }

    /// <summary>Those of the ends that Redis has not answered.</summary>
    public IEnumerable<PendingEnd> Unanswered => Ends.Where(end => !end.Stored.Task.IsCompleted);

    /// <summary>There is something to give back.</summary>
    public bool HasReturns => GiveBack.Length + Ends.Count > 0;

    public bool IsEmpty => Unreachable.Count + Abandoned.Count + GiveBack.Length + Ends.Count + Arrived.Count + Fresh.Count == 0
        && !GrantPass && !CheckBlocked && !Renew;
}

/// <summary>An end of a job that is to be stored.</summary>
/// <param name="End">What is to be stored.</param>
/// <param name="Stored">Who waits for the answer.</param>
/// <param name="Alone">A call that it was in failed, and not because Redis is down: it goes by itself, and nothing is claimed with it.</param>
internal readonly record struct PendingEnd(JobEnd End, TaskCompletionSource<EndResult> Stored, bool Alone = false);
