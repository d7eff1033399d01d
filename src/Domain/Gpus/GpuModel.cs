namespace Sluice.Domain.Gpus;

/// <summary>The properties of a GPU model that do not depend on a single GPU.</summary>
public sealed record GpuModel
{
    /// <summary>Short name, used in templates: <c>H100</c>, <c>A100-80</c>.</summary>
    public required string Id { get; init; }

    /// <summary>Name of the family: <c>A100</c> includes <c>A100-40</c> and <c>A100-80</c>.</summary>
    public required string Family { get; init; }

    public required string Architecture { get; init; }

    public required ComputeCapability ComputeCapability { get; init; }

    /// <summary>Nominal memory in GB.</summary>
    public required int MemoryGb { get; init; }

    /// <summary>
    /// Total bandwidth of all NVLinks in both directions, GB/s; 0 if the model has none. Only some variants of a model
    /// have NVLinks (SXM, but not PCIe). The inventory contains the actual connections of a machine.
    /// </summary>
    public double NvLinkGBps { get; init; }

    /// <summary>Maximum number of MIG instances; 0 if the model does not support MIG.</summary>
    public int MigInstances { get; init; }

    /// <summary>Name of the RunPod pool that contains the model; null if there is none.</summary>
    public string? Pool { get; init; }

    /// <summary>Words that the name in nvidia-smi must contain.</summary>
    internal IReadOnlyList<string> Words { get; init; } = [];

    /// <summary>The precisions that the model supports.</summary>
    public IReadOnlyList<string> Precisions => Gpus.Precisions.GetSupported(ComputeCapability);

    /// <summary>Whether CUDA 13 (and TensorRT 10 and later) supports the model. Volta is not supported.</summary>
    public bool Cuda13 => ComputeCapability >= GpuModelCatalog.Cuda13Least;
}
