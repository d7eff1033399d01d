using Microsoft.Extensions.Logging;
using Sluice.ControlPlane.Pods;
using Sluice.ControlPlane.Scheduling;
using Sluice.Storage.Catalog;
using Sluice.Storage.Redis;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>Reconciles endpoints: the pods of this host, and on the leader everything else.</summary>
internal sealed partial class EndpointReconciliation(
    EndpointReader reader,
    CatalogWatcher catalog,
    PodReconciliation pods,
    LeaderReconciliation leader,
    RestingEndpoints resting,
    ILogger<EndpointReconciliation> logger)
{
    /// <summary>
    /// Number of endpoints that one round processes concurrently. At a round trip of 5 ms to Redis, 500 endpoints take
    /// 8 times two of these. Redis and the connection process 64 scripts together in under a millisecond.
    /// </summary>
    private const int MaxConcurrent = 64;

    private readonly ILogger<EndpointReconciliation> logger = logger;

    /// <summary>Reconciles endpoints concurrently.</summary>
    /// <param name="endpoints">The endpoints.</param>
    /// <param name="epoch">The epoch of the round; 0: this gateway does not lead.</param>
    /// <param name="living">The hosts whose lease is valid; null: the round covers requested endpoints only.</param>
    /// <param name="ct">Cancels the call.</param>
    public Task ReconcileAsync(
        IEnumerable<string> endpoints,
        long epoch,
        IReadOnlySet<string>? living,
        CancellationToken ct) =>
        ConcurrentRuns.ForEachAsync(endpoints, MaxConcurrent, e => ReconcileSafelyAsync(e, epoch, living, ct));

    /// <summary>Reconciles one endpoint. An error does not affect the other endpoints.</summary>
    private async Task ReconcileSafelyAsync(
        string endpointId,
        long epoch,
        IReadOnlySet<string>? living,
        CancellationToken ct)
    {
        try
        {
            await ReconcileAsync(endpointId, epoch, living, ct);
        }
        catch (Exception e) when (!RedisErrors.Is(e) && !ct.IsCancellationRequested)
        {
            ReconciliationFailed(endpointId, e);
        }
    }

    private async Task ReconcileAsync(
        string endpointId,
        long epoch,
        IReadOnlySet<string>? living,
        CancellationToken ct)
    {
        // Every gateway does this: expired slot leases must be reaped even if leaders fail one after another.
        // Only such a round decides that an endpoint is at rest.
        var isOpen = living is null || await reader.ReapAsync(endpointId, ct);
        var deployment = catalog.Current.Find(endpointId);
        if (epoch == 0 && !pods.HasPodsOf(endpointId))
        {
            // Everything else is the leader's work.
            if (!isOpen && deployment is not null) resting.Rest(endpointId, DateTimeOffset.MaxValue);
            return;
        }

        var (fleet, dispatch) = await reader.ReadAsync(endpointId, epoch, ct);
        // A catalog without declarations means that Redis has lost its data: the pods are kept until the manifest is
        // restored.
        var max = deployment?.Endpoint.Scaling.Max ?? (catalog.State.IsLost ? int.MaxValue : 0);
        var found = await pods.ReconcileAsync(endpointId, max, dispatch, fleet, ct);
        var observed = new EndpointObservation(endpointId, deployment, epoch, fleet, dispatch, living);
        if (await leader.ReconcileAsync(observed, found, ct) is { } until && !isOpen) resting.Rest(endpointId, until);
    }

    [LoggerMessage(LogLevel.Error,
        "Reconciliation of {Endpoint} failed with an internal error and is retried in the next round")]
    private partial void ReconciliationFailed(string endpoint, Exception e);
}
