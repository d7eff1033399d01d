using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;

namespace Sluice.Hosting;

/// <summary>An order to a host to start a pod.</summary>
/// <param name="Deployment">The endpoint and its template, as they were declared at the time of the order.</param>
/// <param name="PodId">The pod's id: random and never reused.</param>
/// <param name="Devices">
/// UUIDs of the GPUs or MIG slices that the pod gets, and no others; empty: none. Null: this machine assigns no GPUs,
/// and a process sees those that the gateway sees.
/// </param>
public sealed record PodSpec(Deployment Deployment, string PodId, IReadOnlyList<string>? Devices = null)
{
    /// <summary>The node of its devices, on which the host must start it; null: it has no devices.</summary>
    public string? Node { get; init; }

    /// <summary>The pod's share of its device's memory, MiB; null: the whole device is its own.</summary>
    public long? ShareMiB { get; init; }

    /// <summary>The fingerprint of the declaration; see <see cref="Pod.Fingerprint"/>.</summary>
    public string Fingerprint { get; init; } = "";

    /// <summary>Epoch of the leader that issued the order.</summary>
    public long Epoch { get; init; }
}
