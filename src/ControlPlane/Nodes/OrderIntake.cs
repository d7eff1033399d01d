using Microsoft.Extensions.Logging;
using Sluice.ControlPlane.Pods;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Hosting;
using Sluice.Storage.Catalog;
using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane.Nodes;

/// <summary>
/// Takes the orders of leaders on other nodes, and starts their pods. Only the reconciler's loop uses it.
/// </summary>
internal sealed partial class OrderIntake(
    FleetNodes nodes,
    HostId host,
    NodeStore list,
    PodStore store,
    CatalogWatcher catalog,
    PodManager manager,
    ILogger<OrderIntake> logger)
{
    private readonly ILogger<OrderIntake> logger = logger;

    /// <summary>Takes the open orders of this gateway's host.</summary>
    public async Task TakeAsync(CancellationToken ct)
    {
        if (!nodes.IsOffered) return;
        foreach (var (endpointId, podId) in await list.OrdersAsync(host.Value, ct))
        {
            await TakeAsync(endpointId, podId, ct);
            await list.RemoveOrderAsync(host.Value, endpointId, podId, ct);
        }
    }

    private async Task TakeAsync(string endpointId, string podId, CancellationToken ct)
    {
        var fleet = await store.ReadAsync(endpointId, 0, ct);
        var order = fleet.Pods.FirstOrDefault(p => p.Id == podId && p.IsOrdered && p.HostId == host.Value);
        if (order is null) return;
        var deployment = fleet.Drain.Contains(podId) ? null : await FindAsync(order, ct);
        if (deployment is null)
        {
            // The leader orders another worker in the next round, if it is still needed.
            await store.WithdrawOrderAsync(endpointId, podId, 0, early: true, ct);
            OrderRefused(podId, endpointId);
            return;
        }

        var devices = DeviceEnvironment.Decides(deployment, catalog.Current.Deployments) ? order.Devices : null;
        if (await manager.StartOrderedAsync(order, deployment, devices, ct)) OrderTaken(podId, endpointId);
        else OrderEnded(podId, endpointId);
    }

    /// <summary>
    /// Returns the declaration of an order; null: this gateway knows another one, also after it has read it again.
    /// </summary>
    private async Task<Deployment?> FindAsync(Pod order, CancellationToken ct)
    {
        for (var reads = 0; ; reads++)
        {
            var declared = catalog.Current.Find(order.EndpointId);
            if (declared is not null && PodFingerprint.Compute(declared) == order.Fingerprint) return declared;
            if (reads > 0) return null;
            await catalog.RefreshAsync(ct);
        }
    }

    [LoggerMessage(LogLevel.Information, "Order of worker {Worker} of {Endpoint} taken")]
    private partial void OrderTaken(string worker, string endpoint);

    [LoggerMessage(LogLevel.Warning, "Order of worker {Worker} of {Endpoint} not executed: it has ended")]
    private partial void OrderEnded(string worker, string endpoint);

    [LoggerMessage(LogLevel.Information,
        "Order of worker {Worker} of {Endpoint} refused: the worker is no longer needed, or its declaration changed")]
    private partial void OrderRefused(string worker, string endpoint);
}
