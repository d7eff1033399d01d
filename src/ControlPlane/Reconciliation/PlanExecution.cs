using Sluice.ControlPlane.Leadership;
using Sluice.ControlPlane.Pods;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Placement;
using Sluice.Hosting;
using Sluice.Storage.Catalog;
using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>Orders the starts and drains of a plan.</summary>
internal sealed class PlanExecution(LeaderOrders orders, CatalogWatcher catalog)
{
    /// <summary>
    /// Orders the starts and drains of a plan. Returns false if a later leader exists; its plan applies then.
    /// </summary>
    public async Task<bool> ExecuteAsync(DeclaredEndpoint endpoint, FleetPlan plan, CancellationToken ct)
    {
        var (deployment, epoch) = (endpoint.Deployment, endpoint.Epoch);
        for (var i = 0; i < plan.Start; i++)
        {
            var holding = WithoutDevices(deployment);
            var decision = await orders.StartAsync(deployment, endpoint.Fingerprint, epoch, holding, ct);
            if (decision == StartDecision.Stale) return false;
            // The endpoint has more pods than the plan knows. Its drains do not depend on its starts.
            if (decision == StartDecision.Full) break;
        }

        if (plan.Drain.Count + plan.Resume.Count == 0
            || await orders.DrainAsync(endpoint.Id, epoch, plan.Drain, plan.Resume, ct)) return true;
        orders.RecordLost(epoch);
        return false;
    }

    /// <summary>
    /// Returns the holding of a pod without a GPU request: no devices; null: the pod sees those that the gateway sees.
    /// </summary>
    private GpuAllocation? WithoutDevices(Deployment deployment) =>
        DeviceEnvironment.Decides(deployment, catalog.Current.Deployments)
            ? new GpuAllocation(PodManager.NewId(deployment.Endpoint.Id), deployment.Endpoint.Id, [])
            : null;
}
