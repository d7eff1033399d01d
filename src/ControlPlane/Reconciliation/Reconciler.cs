using Microsoft.Extensions.Logging;
using Sluice.ControlPlane.Leadership;
using Sluice.Storage.Background;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>
/// Reconciles the running pods with the declarations and the demand, once a second and whenever a request is queued.
/// Every gateway manages its own host's pods. The leader also decides how many run, and removes what lost gateways and
/// hosts left behind.
/// </summary>
internal sealed class Reconciler(
    ReconcileRounds rounds,
    LeadershipRenewal renewal,
    HostShutdown shutdown,
    TimeProvider time,
    ILogger<Reconciler> logger) : BackgroundLoop(time, logger)
{
    private readonly TaskScheduler oneAtATime = new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler;
    private readonly LoopGuard guard = new("Reconciling", time, logger);

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await shutdown.RunAsync(cancellationToken);
    }

    /// <summary>
    /// Runs the loop on a scheduler that executes one task at a time: the endpoints of a round wait for Redis
    /// concurrently, and their changes need no locks.
    /// </summary>
    protected override Task RunAsync(CancellationToken ct) => Task.Factory.StartNew(
        () => LoopAsync(ct), CancellationToken.None, TaskCreationOptions.DenyChildAttach, oneAtATime).Unwrap();

    /// <summary>
    /// Completes when all loops have ended: a renewal after the resignation would prevent another gateway from leading.
    /// </summary>
    private async Task LoopAsync(CancellationToken ct)
    {
        await rounds.CatalogLoaded.WaitAsync(ct);
        await Task.WhenAll(rounds.TickAsync(ct),
            Task.Run(() => renewal.RunAsync(rounds.PodsKnown, ct), CancellationToken.None),
            guard.RunAsync(rounds.RunAsync, ct));
    }
}
