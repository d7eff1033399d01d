using System.Text.Json.Serialization;
using Sluice.Domain.Notation;

namespace Sluice.Domain.Gpus;

/// <summary>
/// The GPUs that a worker of a template requires (<c>gpu:</c> of a template). A template without requirements is not
/// placed: Sluice allocates no GPU to it, and its worker may use the GPUs that its environment selects.
/// </summary>
public sealed record GpuRequirements
{
    /// <summary>
    /// GPU types in order of preference: models of the catalog (<c>H100</c>, <c>A100-80</c>), pools (<c>AMPERE_80</c>),
    /// or names as reported by nvidia-smi. Empty: any type; the smallest matching GPU is allocated.
    /// </summary>
    public IReadOnlyList<string> Types { get; init; } = [];

    /// <summary>Number of GPUs of one kind on one machine. GPUs connected by NVLinks are preferred.</summary>
    public int Count { get; init; } = 1;

    /// <summary>Whether all of them must be connected by NVLinks.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool NvLink { get; init; }

    /// <summary>Requires a MIG slice of exactly this profile instead of a whole GPU.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MigProfile? Mig { get; init; }

    /// <summary>
    /// Requires a MIG slice with at least this compute and memory. The smallest matching slice is allocated.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MigProfile? MinMig { get; init; }

    /// <summary>Part of a GPU's memory. Other pods may use the rest. Null: the whole GPU.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MemoryShare? Share { get; init; }

    /// <summary>Minimum memory of each GPU or slice, in bytes; 0: any.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long MinMemory { get; init; }

    /// <summary>The precision of the model. It requires a minimum compute capability.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Precision? Precision { get; init; }

    /// <summary>Minimum compute capability, if it is higher than the precision requires.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ComputeCapability? MinComputeCapability { get; init; }

    /// <summary>
    /// Major version of the worker's CUDA libraries, 12 or 13. It requires a minimum driver and compute capability. 0:
    /// not specified.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int Cuda { get; init; }

    /// <summary>Minimum version of the driver, for example <c>580.65</c>; empty: any.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string MinDriver { get; init; } = "";

    /// <summary>Whether only GPUs in confidential computing mode that are set to ready match.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Confidential { get; init; }

    /// <summary>Whether a MIG slice is required.</summary>
    internal bool WantsSlice => Mig is not null || MinMig is not null;
}
