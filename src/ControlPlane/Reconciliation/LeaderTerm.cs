using Sluice.ControlPlane.Gpus;
using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>
/// The epoch with which this gateway leads in the current round. It changes only between rounds. Only the reconciler's
/// loop uses it.
/// </summary>
internal sealed class LeaderTerm(LeaderElection leadership, LostPodRemoval lostPods, GpuAllocator gpus)
{
    /// <summary>The epoch of the round; 0: this gateway does not lead in it.</summary>
    public long Epoch { get; private set; }

    /// <summary>Begins a round that covers all endpoints that are not at rest.</summary>
    /// <returns>Whether the epoch differs from the previous round: the round must cover all endpoints.</returns>
    public bool BeginFullRound()
    {
        lostPods.DiscardOldCalls();
        var before = Epoch;
        Epoch = leadership.Epoch;
        if (Epoch == 0) lostPods.ForgetAll();
        return Epoch != before;
    }

    /// <summary>
    /// Begins a round of some endpoints. The first round of a new leader covers all endpoints, so it does not lead in
    /// this one.
    /// </summary>
    public void BeginPartialRound()
    {
        if (Epoch != leadership.Epoch) Epoch = 0;
    }

    /// <summary>Reads the claims on devices from Redis, if this gateway leads.</summary>
    public async Task ReadClaimsAsync(CancellationToken ct)
    {
        if (Epoch > 0) await gpus.RefreshAsync(Epoch, ct);
    }
}
