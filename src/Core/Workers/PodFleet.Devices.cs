using Sluice.Core.Gpus;

namespace Sluice.Core.Workers;

/// <summary>What this host's pods have of its GPUs.</summary>
public sealed partial class PodFleet
{
    /// <summary>Pods that have devices, until they are gone.</summary>
    internal IEnumerable<GpuHolding> Holdings => own.Values.Select(p => p.Record)
        .Where(p => p is { Devices.Count: > 0, State: not PodState.Failed }).Select(p => p.Holding);

    /// <summary>An id for a pod that is to be started: random, never used again.</summary>
    public static string NewId(string endpointId) => $"{endpointId}-{Guid.NewGuid():N}"[..(endpointId.Length + 9)];
}
