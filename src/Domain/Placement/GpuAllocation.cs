namespace Sluice.Domain.Placement;

/// <summary>A device of a pod.</summary>
/// <param name="Uuid">UUID of a GPU or a MIG slice.</param>
/// <param name="ShareMiB">Part of the GPU's memory in MiB; null: the whole device, exclusively.</param>
public readonly record struct HeldDevice(string Uuid, long? ShareMiB = null);

/// <summary>The devices of a pod.</summary>
public sealed record GpuAllocation(string PodId, string EndpointId, IReadOnlyList<HeldDevice> Devices)
{
    /// <summary>The node of the devices; null: there are none, or an earlier build stored the allocation.</summary>
    public string? Node { get; init; }
}
