using Sluice.ControlPlane.Leadership;
using Sluice.ControlPlane.Pods;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Placement;
using Sluice.Hosting;
using Sluice.Storage.Catalog;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>Orders the starts and drains of a plan.</summary>
internal sealed class PlanExecution(LeaderOrders orders, CatalogWatcher catalog)
{
    /// <summary>Orders the starts and drains of a plan. Returns false if a start was rejected.</summary>
    public async Task<bool> ExecuteAsync(DeclaredEndpoint endpoint, FleetPlan plan, CancellationToken ct)
    {
        var (deployment, epoch) = (endpoint.Deployment, endpoint.Epoch);
        for (var i = 0; i < plan.Start; i++)
            if (!await orders.StartAsync(deployment, endpoint.Fingerprint, epoch, WithoutDevices(deployment), ct))
                return false;
        if (plan.Drain.Count + plan.Resume.Count > 0
            && !await orders.DrainAsync(endpoint.Id, epoch, plan.Drain, plan.Resume, ct))
            orders.RecordLost(epoch);
        return true;
    }

    /// <summary>
    /// Returns the holding of a pod without a GPU request: no devices; null: the pod sees those that the gateway sees.
    /// </summary>
    private GpuAllocation? WithoutDevices(Deployment deployment) =>
        DeviceEnvironment.Decides(deployment, catalog.Current.Deployments)
            ? new GpuAllocation(PodManager.NewId(deployment.Endpoint.Id), deployment.Endpoint.Id, [])
            : null;
}
