using Sluice.Domain.Fleet;
using Sluice.Domain.Placement;

namespace Sluice.ControlPlane;

/// <summary>The GPUs that this host's pods hold.</summary>
public sealed partial class PodManager
{
    /// <summary>The devices of each pod that holds some, until the pod has exited.</summary>
    internal IEnumerable<GpuAllocation> Holdings => own.Values.Select(p => p.Record)
        .Where(p => p is { Devices.Count: > 0, State: not PodState.Failed }).Select(p => p.Holding);

    /// <summary>Creates a pod id. It is random and never reused.</summary>
    public static string NewId(string endpointId) => $"{endpointId}-{Guid.NewGuid():N}"[..(endpointId.Length + 9)];
}
