using System.Text.Json.Serialization;

namespace Sluice.Core.Gpus;

/// <summary>
/// What GPUs a worker of a template needs (<c>gpu:</c> of a template). Without it a template is not placed: it gets no GPU of
/// Sluice's and may use what its environment says.
/// </summary>
public sealed record GpuNeeds
{
    /// <summary>Kinds of GPUs in order of preference: of the catalogue (<c>H100</c>, <c>A100-80</c>), pools (<c>AMPERE_80</c>), or names as
    /// nvidia-smi says them. Empty: any; the smallest that does is taken.</summary>
    public IReadOnlyList<string> Types { get; init; } = [];

    /// <summary>GPUs of one kind on one machine. Those that NVLinks connect are preferred.</summary>
    public int Count { get; init; } = 1;

    /// <summary>Whether all of them must reach each other through NVLinks.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool NvLink { get; init; }

    /// <summary>A MIG slice of exactly this profile instead of a whole GPU.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MigProfile? Mig { get; init; }

    /// <summary>A MIG slice with at least this much compute and memory; the smallest is taken.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MigProfile? MinMig { get; init; }

    /// <summary>A part of a GPU's memory; other pods may have the rest. Not said: the whole GPU.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MemoryShare? Share { get; init; }

    /// <summary>Least memory of each GPU or slice, bytes; 0: any.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long MinMemory { get; init; }

    /// <summary>The precision that the model computes with; it demands a compute capability.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Precision? Precision { get; init; }

    /// <summary>Least compute capability, where the precision does not say enough.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ComputeCapability? MinComputeCapability { get; init; }

    /// <summary>Major version of the CUDA libraries that the worker brings, 12 or 13; it demands a driver and a compute capability. 0: not said.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int Cuda { get; init; }

    /// <summary>Least version of the driver, <c>580.65</c>; empty: any.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string MinDriver { get; init; } = "";

    /// <summary>Only GPUs in confidential computing mode, declared ready.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Confidential { get; init; }

    /// <summary>Whether it is a MIG slice that is asked for.</summary>
    internal bool WantsSlice => Mig is not null || MinMig is not null;
}
