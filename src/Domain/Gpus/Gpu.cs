namespace Sluice.Domain.Gpus;

/// <summary>
/// A GPU. A property that its driver does not report (in a container, or after a fault) is null or has its default.
/// </summary>
public sealed record Gpu
{
    /// <summary>The index in nvidia-smi, in the order of the PCI bus. Unique on its node.</summary>
    public required int Index { get; init; }

    /// <summary>
    /// The UUID, <c>GPU-...</c>, by which a pod gets the GPU. An index is not stable: it depends on
    /// <c>CUDA_VISIBLE_DEVICES</c> and changes over restarts.
    /// </summary>
    public required string Uuid { get; init; }

    /// <summary>The name as reported by nvidia-smi: <c>NVIDIA H100 80GB HBM3</c>.</summary>
    public required string Name { get; init; }

    /// <summary>
    /// The name of its node; empty: its source names none (see <see cref="Inventory.OnNode"/>). All GPUs of a pod are
    /// on one node.
    /// </summary>
    public string Node { get; init; } = "";

    /// <summary>Total memory in MiB.</summary>
    public long MemoryMiB { get; init; }

    /// <summary>Memory in use by any process, in MiB.</summary>
    public long? UsedMiB { get; init; }

    /// <summary>Share of the last sampling interval in which the GPU computed, percent.</summary>
    public int? Utilization { get; init; }

    public ComputeCapability ComputeCapability { get; init; }

    /// <summary>The driver version, for example <c>580.95.05</c>.</summary>
    public string? Driver { get; init; }

    public ComputeMode ComputeMode { get; init; }

    public ConfidentialState Confidential { get; init; }

    /// <summary>Whether the GPU is in MIG mode. In this mode only its slices can be allocated.</summary>
    public bool MigEnabled { get; init; }

    public IReadOnlyList<MigSlice> Slices { get; init; } = [];

    /// <summary>Active NVLinks; zero if there are none or the number is unknown.</summary>
    public NvLinks NvLinks { get; init; }

    /// <summary>Why the GPU must not be used; null if it has no fault.</summary>
    public string? Fault { get; init; }
}
