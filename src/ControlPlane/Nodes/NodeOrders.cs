using Microsoft.Extensions.Logging;
using Sluice.ControlPlane.Pods;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Nodes;
using Sluice.Domain.Placement;
using Sluice.Storage.Fleet;
using Sluice.Storage.Queueing;

namespace Sluice.ControlPlane.Nodes;

/// <summary>
/// Orders pods on the hosts of other gateways, and withdraws the orders that they do not take. The order is the record
/// of the pod: it counts as starting, and is fenced by the leader's epoch.
/// </summary>
internal sealed partial class NodeOrders(
    FleetNodes nodes,
    NodeStore list,
    PodStore store,
    WorkerSlotStore slots,
    TimeProvider time,
    ILogger<NodeOrders> logger)
{
    /// <summary>
    /// How long a host may take an order. It takes orders in each round: once a second, and when it gets the message.
    /// </summary>
    internal static readonly TimeSpan Valid = TimeSpan.FromSeconds(3);

    private readonly ILogger<NodeOrders> logger = logger;

    /// <summary>Orders a pod on another node. Returns the decision of Redis.</summary>
    /// <param name="node">The node.</param>
    /// <param name="deployment">The pod's declaration.</param>
    /// <param name="fingerprint">The fingerprint of the declaration.</param>
    /// <param name="epoch">The leader's epoch.</param>
    /// <param name="holding">The pod's id and devices; null: it gets an id, and the host decides about devices.</param>
    /// <param name="ct">Cancels the call; Redis may have accepted the order by then.</param>
    public async Task<StartDecision> OrderAsync(
        FleetNode node,
        Deployment deployment,
        string fingerprint,
        long epoch,
        GpuAllocation? holding,
        CancellationToken ct)
    {
        var record = PodManager.CreateRecord(deployment, fingerprint, node.HostId, holding, time.GetUtcNow()) with
        {
            Node = holding?.Node ?? node.Name,
            OrderedIn = epoch,
            Reason = $"ordered on node {node.Name}",
        };
        var decision = await store.StartAsync(record, epoch, deployment.Endpoint.Scaling.Max, Valid, ct);
        if (decision != StartDecision.Taken) return decision;
        nodes.RecordOrder(record.Id, node.HostId);
        WorkerOrdered(record.Id, record.EndpointId, node.Name);
        await list.AddOrderAsync(node.HostId, record.EndpointId, record.Id, ct);
        await slots.AnnounceAsync(record.EndpointId, ct);
        return decision;
    }

    /// <summary>
    /// Withdraws the orders of an endpoint that have ended, and those on hosts without a lease. Returns the endpoint's
    /// pods without them.
    /// </summary>
    public async Task<FleetSnapshot> WithdrawEndedAsync(
        FleetSnapshot fleet, long epoch, IReadOnlySet<string> living, CancellationToken ct)
    {
        var gone = new HashSet<string>();
        foreach (var pod in fleet.Pods.Where(p => p.IsOrdered))
        {
            var isLost = !living.Contains(pod.HostId);
            if (!await store.WithdrawOrderAsync(pod.EndpointId, pod.Id, epoch, early: isLost, ct)) continue;
            gone.Add(pod.Id);
            nodes.Avoid(pod.HostId);
            OrderWithdrawn(pod.Id, pod.EndpointId, pod.Node ?? "");
        }

        return gone.Count == 0 ? fleet : fleet with { Pods = [.. fleet.Pods.Where(p => !gone.Contains(p.Id))] };
    }

    [LoggerMessage(LogLevel.Information, "Worker {Worker} of {Endpoint} is ordered on node {Node}")]
    private partial void WorkerOrdered(string worker, string endpoint, string node);

    [LoggerMessage(LogLevel.Warning,
        "Order of worker {Worker} of {Endpoint} withdrawn: the gateway of node {Node} did not take it")]
    private partial void OrderWithdrawn(string worker, string endpoint, string node);
}
