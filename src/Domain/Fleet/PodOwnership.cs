namespace Sluice.Domain.Fleet;

/// <summary>Decides who manages a pod of a host that several gateways share. Pure.</summary>
/// <param name="HostId">The id of this gateway's host.</param>
/// <param name="IsLeader">Whether this gateway leads.</param>
/// <param name="Living">Hosts with a valid lease.</param>
/// <param name="Owners">Pod -> the host in its record.</param>
/// <param name="Now">When they were read.</param>
public sealed record PodOwnership(
    string HostId,
    bool IsLeader,
    IReadOnlySet<string> Living,
    IReadOnlyDictionary<string, string> Owners,
    DateTimeOffset Now)
{
    /// <summary>
    /// Whether another gateway manages a pod, or will: this gateway must not adopt it. The pods of lost gateways are
    /// for the leader.
    /// </summary>
    /// <param name="podId">The pod.</param>
    /// <param name="orderedBy">The host that ordered it, which manages it while it has no record.</param>
    /// <param name="createdAt">When it was created; null: unknown.</param>
    /// <param name="lease">Duration of a host's lease.</param>
    public bool IsManaged(string podId, string orderedBy, DateTimeOffset? createdAt, TimeSpan lease)
    {
        var hasRecord = Owners.TryGetValue(podId, out var recorded);
        var owner = hasRecord ? recorded! : orderedBy;
        if (owner == HostId) return false;
        if (Living.Contains(owner)) return true;
        // The gateway that ordered it may be newer than the list of hosts.
        if (!hasRecord && createdAt is { } at && Now - at < lease) return true;
        return !IsLeader;
    }
}
