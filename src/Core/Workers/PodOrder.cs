using Sluice.Core.Endpoints;

namespace Sluice.Core.Workers;

/// <summary>What a host is to start, and for whom.</summary>
/// <param name="Deployment">The endpoint and its template, as they were declared when the pod was ordered.</param>
/// <param name="PodId">Random, never used again.</param>
/// <param name="Devices">
/// UUIDs of the GPUs or MIG slices that the pod gets, and no others; empty: none. Null: nobody places GPUs on this machine, and a process sees
/// those that the gateway sees.
/// </param>
public sealed record PodOrder(Deployment Deployment, string PodId, IReadOnlyList<string>? Devices = null)
{
    /// <summary>Its part of its device's memory, MiB; null: all of it, alone.</summary>
    public long? ShareMiB { get; init; }

    /// <summary>What the pod is started from; see <see cref="Pod.Fingerprint"/>.</summary>
    public string Fingerprint { get; init; } = "";

    /// <summary>Epoch of the leader that ordered it.</summary>
    public long Epoch { get; init; }
}
