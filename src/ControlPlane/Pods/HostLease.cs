using Sluice.Domain.Fleet;
using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane.Pods;

/// <summary>
/// The lease of this host in Redis. A host that does not renew it is lost, and the leader removes its pods.
/// </summary>
internal sealed class HostLease(HostId host, PodStore store)
{
    /// <summary>Duration of the lease.</summary>
    public static readonly TimeSpan Duration = Leases.Host;

    /// <summary>Renews the lease. Returns the hosts whose lease is valid.</summary>
    public Task<IReadOnlySet<string>> RenewAsync(CancellationToken ct) =>
        store.RenewHostAsync(host.Value, Duration, ct);

    /// <summary>Ends the lease immediately.</summary>
    public Task ReleaseAsync() => store.RenewHostAsync(host.Value, TimeSpan.Zero, CancellationToken.None);
}
