namespace Sluice.Core.Gpus;

/// <summary>What is known of a kind of GPU, beside what one of them tells of itself.</summary>
public sealed record GpuModel
{
    /// <summary>Short name, by which templates ask for it: <c>H100</c>, <c>A100-80</c>.</summary>
    public required string Id { get; init; }

    /// <summary>The name that several of them share: <c>A100</c> is <c>A100-40</c> and <c>A100-80</c>.</summary>
    public required string Family { get; init; }

    public required string Architecture { get; init; }

    public required ComputeCapability ComputeCapability { get; init; }

    /// <summary>GB, as it is sold.</summary>
    public required int MemoryGb { get; init; }

    /// <summary>All its NVLinks together, both directions, GB/s; 0: it has none. Some cards of a kind have them and others not
    /// (SXM and PCIe): what a machine really has is in its inventory.</summary>
    public double NvLinkGBps { get; init; }

    /// <summary>MIG instances that it can be cut into at most; 0: it cannot.</summary>
    public int MigInstances { get; init; }

    /// <summary>RunPod's name of the pool that it is in; null: in none.</summary>
    public string? Pool { get; init; }

    /// <summary>Words of its name in nvidia-smi, all of which must be there.</summary>
    internal IReadOnlyList<string> Words { get; init; } = [];

    /// <summary>What it can compute with.</summary>
    public IReadOnlyList<string> Precisions => Gpus.Precisions.Of(ComputeCapability);

    /// <summary>Whether CUDA 13 (and TensorRT 10 and later) still support it: Volta is dropped.</summary>
    public bool Cuda13 => ComputeCapability >= Catalogue.Cuda13Least;
}
