namespace Sluice.Storage.Queueing;

/// <summary>The result of <c>reap</c>.</summary>
public readonly record struct ReapAnswer(int LeasesEnded, int SlotsFreed, int TicketsDropped, int JobsQueuedAgain)
{
    /// <summary>Whether leases, grants, tickets or running jobs are left, which later calls must check.</summary>
    public bool IsOpen { get; init; }

    /// <summary>Whether something was ended, so that slots may be free.</summary>
    public bool Acted => LeasesEnded + SlotsFreed + TicketsDropped + JobsQueuedAgain > 0;
}
