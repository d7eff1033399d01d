using Sluice.ControlPlane.Gpus;
using Sluice.ControlPlane.Nodes;
using Sluice.ControlPlane.Scheduling;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>One round: reconciles endpoints, and then places the device requests of all of them.</summary>
internal sealed class ReconcileRound(
    LeaderTerm term,
    FleetNodes nodes,
    OrderIntake intake,
    RoundEndpoints scope,
    EndpointReconciliation endpoints,
    GpuReconciliation gpus,
    StartPreparation starts,
    RestingEndpoints resting)
{
    /// <summary>Runs a round.</summary>
    /// <param name="requested">The endpoints that were requested by their id.</param>
    /// <param name="living">
    /// The hosts whose lease is valid, in a round that covers all endpoints that are not at rest; null: it covers the
    /// requested ones.
    /// </param>
    /// <param name="ct">Cancels the round.</param>
    public async Task RunAsync(HashSet<string> requested, IReadOnlySet<string>? living, CancellationToken ct)
    {
        await intake.TakeAsync(ct);
        if (living is null)
        {
            term.BeginPartialRound();
        }
        else
        {
            // What another leader noticed is not known here.
            if (term.BeginFullRound()) resting.WakeAll();
            await nodes.ExchangeAsync(term.Epoch > 0, ct);
            await scope.AddDueAsync(requested, term.Epoch, ct);
            await term.ReadClaimsAsync(ct);
        }

        await endpoints.ReconcileAsync(requested, term.Epoch, living, ct);
        await gpus.PlaceAsync(requested, term.Epoch, ct);
        if (living is not null) await starts.PrepareAsync(term.Epoch, ct);
    }
}
