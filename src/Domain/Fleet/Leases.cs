namespace Sluice.Domain.Fleet;

/// <summary>The durations after which dispatch no longer trusts a silent gateway.</summary>
public static class Leases
{
    /// <summary>The length of a gateway's lease on its slots; it is renewed every <see cref="RenewEvery"/>.</summary>
    public static readonly TimeSpan Length = TimeSpan.FromSeconds(10);

    /// <summary>
    /// The renewal interval: at most a third of <see cref="Length"/> (the rule of client-go). A renewal also covers
    /// lost messages.
    /// </summary>
    public static readonly TimeSpan RenewEvery = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Every gateway reaps once a second. After a longer gap (Redis was paused), every lease looks expired, and the
    /// holders get time to renew first.
    /// </summary>
    public static readonly TimeSpan ReapGap = TimeSpan.FromSeconds(4);

    /// <summary>
    /// The length of the lease of a gateway's host. A host that does not renew it is lost, and the leader removes its
    /// pods.
    /// </summary>
    public static readonly TimeSpan Host = TimeSpan.FromSeconds(10);

    /// <summary>A grant to a ticket of another gateway is revoked if it is not accepted within this time.</summary>
    public static readonly TimeSpan AcceptWithin = TimeSpan.FromSeconds(3);
}
