using Sluice.ControlPlane.Leadership;
using Sluice.ControlPlane.Pods;
using Sluice.ControlPlane.Scheduling;
using Sluice.Domain.Declarations;
using Sluice.Storage.Catalog;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>Requests rounds when something changes, and once a second.</summary>
internal sealed class ReconcileTriggers
{
    private readonly EndpointReconcileStates states;
    private readonly ScalingDecisionLog decisions;
    private readonly ReconcileQueue queue;
    private readonly CatalogWatcher catalog;

    /// <summary>The declarations of the previous change. Changes are reported one after another.</summary>
    private CatalogState known = CatalogState.Empty;

    public ReconcileTriggers(
        ReconcileSources sources,
        EndpointReconcileStates states,
        ScalingDecisionLog decisions,
        UnmanagedPodSearch search,
        ReconcileQueue queue)
    {
        this.states = states;
        this.decisions = decisions;
        this.queue = queue;
        catalog = sources.Catalog;
        CatalogLoaded = catalog.Loaded;
        sources.Inventory.Changed += queue.RequestAll;
        sources.Slots.Woken += queue.Request;
        sources.Termination.Ended += OnEnded;
        catalog.Changed += OnChanged;
        // Redis may have lost its last writes, so this host compares its pods with their records immediately.
        sources.Store.OnReconnected(search.SearchNow);
    }

    /// <summary>Completes when the declarations have been read.</summary>
    public Task CatalogLoaded { get; }

    /// <summary>Requests a round for the endpoints that are not at rest at each tick, until it is cancelled.</summary>
    public Task TickAsync(CancellationToken ct) => queue.RequestPeriodicallyAsync(ct);

    /// <summary>Waits for the next requests.</summary>
    public Task<ReconcileRequests> NextAsync(CancellationToken ct) => queue.TakeAsync(ct);

    /// <summary>Waits after a round, so that the next one combines a burst of requests.</summary>
    public Task PauseAsync(CancellationToken ct) => queue.PauseAsync(ct);

    private void OnEnded(PodEnd end)
    {
        if (end.Failed && states.RecordFailure(end) is { } pause)
            _ = queue.RequestAfterAsync(end.Pod.EndpointId, pause);
        queue.Request(end.Pod.EndpointId);
    }

    private void OnChanged(EndpointCatalog changed)
    {
        // This includes the state of a gateway that no longer leads. A catalog without declarations means that Redis
        // has lost its data, and the declarations will be restored.
        if (changed.Deployments.Count > 0)
        {
            states.Retain(changed);
            decisions.Retain(id => changed.Find(id) is not null);
        }

        var (before, now) = (known, catalog.State);
        foreach (var deployment in changed.Deployments.Where(d => IsChanged(d, before, now)))
            queue.Request(deployment.Endpoint.Id);
        known = now;
    }

    private static bool IsChanged(Deployment deployment, CatalogState before, CatalogState now)
    {
        var (id, template) = (deployment.Endpoint.Id, deployment.Template.Name);
        return before.Endpoints.GetValueOrDefault(id) != now.Endpoints[id]
            || before.Templates.GetValueOrDefault(template) != now.Templates[template];
    }
}
