using Microsoft.Extensions.Logging;
using Sluice.ControlPlane.Pods;
using Sluice.ControlPlane.Scheduling;
using Sluice.Storage.Redis;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>Runs the rounds one after another, each for the endpoints that were requested until then.</summary>
internal sealed partial class ReconcileRounds(
    ReconcileTriggers triggers,
    HostLease lease,
    UnmanagedPodSearch search,
    ReconcileRound round,
    RestingEndpoints resting,
    ILogger<ReconcileRounds> logger)
{
    private readonly ILogger<ReconcileRounds> logger = logger;

    /// <summary>Completes when the declarations have been read. No round may run before.</summary>
    public Task CatalogLoaded => triggers.CatalogLoaded;

    /// <summary>Completes when the pods that already run here are known.</summary>
    public Task PodsKnown => search.Completed;

    /// <summary>Requests a round for the endpoints that are not at rest once a second, until it is cancelled.</summary>
    public Task TickAsync(CancellationToken ct) => triggers.TickAsync(ct);

    /// <summary>Runs rounds until it is cancelled.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        while (true)
        {
            await RunRoundAsync(await triggers.NextAsync(ct), ct);
            await triggers.PauseAsync(ct);
        }
    }

    private async Task RunRoundAsync(ReconcileRequests requests, CancellationToken ct)
    {
        try
        {
            // A round that fails must not forget which endpoints were requested.
            if (requests.AllEndpoints) resting.WakeAll();
            foreach (var endpoint in requests.Endpoints) resting.Wake(endpoint);
            var living = requests.DueEndpoints ? await lease.RenewAsync(ct) : null;
            await search.AdoptFoundAsync(ct);
            // The pods that already run here must be known before any pod is started, or decided on for other hosts.
            if (PodsKnown.IsCompleted) await round.RunAsync(requests.Endpoints, living, ct);
        }
        catch (Exception e) when (RedisErrors.Is(e) && !ct.IsCancellationRequested)
        {
            ReconciliationPostponed(e.Message);
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            // An exception that ended this loop would stop the gateway.
            ReconciliationFailed("all endpoints", e);
        }
    }

    [LoggerMessage(LogLevel.Warning,
        "Reconciliation postponed, because Redis is unavailable; running workers are not affected: {Error}")]
    private partial void ReconciliationPostponed(string error);

    [LoggerMessage(LogLevel.Error,
        "Reconciliation of {Endpoint} failed with an internal error and is retried in the next round")]
    private partial void ReconciliationFailed(string endpoint, Exception e);
}
