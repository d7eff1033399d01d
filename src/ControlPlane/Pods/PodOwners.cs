using Sluice.Domain.Fleet;
using Sluice.Hosting;
using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane.Pods;

/// <summary>
/// Knows which gateway manages a pod that a host found. Several gateways share some hosts; there the record in Redis
/// names the owner, and the leader adopts the pods of lost gateways.
/// </summary>
internal sealed class PodOwners(
    IPodHost podHost,
    ManagedPods pods,
    PodRecords records,
    HostLease lease,
    LeaderElection leadership,
    TimeProvider time)
{
    /// <summary>Reads the current owners. Returns whether a gateway manages a pod.</summary>
    public async Task<Func<FoundPod, bool>> ReadAsync(CancellationToken ct)
    {
        if (!podHost.IsShared) return found => pods.Contains(found.PodId);
        var living = await lease.RenewAsync(ct);
        var owners = new Dictionary<string, string>();
        foreach (var endpoint in await records.EndpointsAsync(ct))
            foreach (var record in await records.ListAllAsync(endpoint, ct))
                owners[record.Id] = record.HostId;
        var ownership = new PodOwnership(records.HostId, leadership.IsLeader, living, owners, time.GetUtcNow());
        return found => pods.Contains(found.PodId) || ownership.IsManaged(
            found.PodId, found.OrderedBy, found.CreatedAt, HostLease.Duration);
    }
}
