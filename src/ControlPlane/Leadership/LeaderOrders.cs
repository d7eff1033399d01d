using Sluice.ControlPlane.Nodes;
using Sluice.ControlPlane.Pods;
using Sluice.ControlPlane.Scheduling;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Nodes;
using Sluice.Domain.Placement;
using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane.Leadership;

/// <summary>
/// Gives the leader's orders: starts on the host of a node, and drains on all hosts. Each order carries the leader's
/// epoch, and Redis rejects those of an earlier leader.
/// </summary>
internal sealed class LeaderOrders(
    PodManager pods,
    FleetNodes nodes,
    NodeOrders elsewhere,
    PodStore store,
    LeaderElection leadership,
    EndpointReconcileStates states,
    ReconcileQueue queue)
{
    /// <summary>Starts a pod, on this node or on another one. Returns the decision of Redis about the order.</summary>
    /// <param name="deployment">The pod's declaration.</param>
    /// <param name="fingerprint">The fingerprint of the declaration.</param>
    /// <param name="epoch">The leader's epoch.</param>
    /// <param name="holding">The pod's id and devices; null: the pod sees those that the gateway sees.</param>
    /// <param name="ct">Cancels the call; Redis may have accepted the order by then.</param>
    public async Task<StartDecision> StartAsync(
        Deployment deployment,
        string fingerprint,
        long epoch,
        GpuAllocation? holding,
        CancellationToken ct)
    {
        var gpuNode = holding is { Devices.Count: > 0 } ? holding.Node : null;
        var failures = states.Find(deployment.Endpoint.Id)?.NodeFailures ?? NodeFailures.None;
        var answer = nodes.Choose(deployment.Template, gpuNode, failures) is { } node
            ? await elsewhere.OrderAsync(node, deployment, fingerprint, epoch, holding, ct)
            : await pods.StartAsync(deployment, fingerprint, epoch, holding, ct);
        if (answer == StartDecision.Stale) RecordLost(epoch);
        return answer;
    }

    /// <summary>
    /// Orders pods of an endpoint to drain and others to resume, and requests a round that executes it. Returns whether
    /// Redis accepted the order.
    /// </summary>
    public async Task<bool> DrainAsync(
        string endpointId,
        long epoch,
        IReadOnlyList<string> drain,
        IReadOnlyList<string> resume,
        CancellationToken ct)
    {
        if (!await store.SetDrainAsync(endpointId, epoch, drain, resume, ct)) return false;
        Reconsider(endpointId);
        return true;
    }

    /// <summary>Requests another round for an endpoint, because its state has changed.</summary>
    public void Reconsider(string endpointId) => queue.Request(endpointId);

    /// <summary>Records that a later leader exists.</summary>
    /// <param name="epoch">The epoch that has ended.</param>
    public void RecordLost(long epoch) => leadership.RecordLost(epoch);
}
