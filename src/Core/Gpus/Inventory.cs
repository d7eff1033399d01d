using System.Text.Json.Serialization;

namespace Sluice.Core.Gpus;

/// <summary>The GPUs of a machine at one moment, how they are connected, and how that is known. Replaced whole.</summary>
public sealed record Inventory
{
    /// <summary>By index.</summary>
    public IReadOnlyList<Gpu> Gpus { get; init; } = [];

    /// <summary>How pairs of GPUs are connected; a pair that is missing: nothing is known.</summary>
    public IReadOnlyList<GpuLink> Links { get; init; } = [];

    /// <summary>Where this was read: <c>nvidia-smi</c>, or the path of a file.</summary>
    public string Source { get; init; } = "nvidia-smi";

    /// <summary>Why the last reading failed, or why there is none; null: it went well.</summary>
    public string? Error { get; init; }

    /// <summary>A machine without GPUs, and why.</summary>
    public static Inventory None(string why) => new() { Error = why };
}

/// <summary>Whether a GPU's memory and work are kept from the machine that it is in (NVIDIA confidential computing).</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ConfidentialState>))]
public enum ConfidentialState
{
    /// <summary>Switched off, or the GPU cannot.</summary>
    Off,

    /// <summary>Switched on, and not declared ready: CUDA cannot run on it.</summary>
    NotReady,

    Ready,
}

/// <summary>Who may use a GPU, as its driver enforces it.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ComputeMode>))]
public enum ComputeMode
{
    /// <summary>Any number of processes.</summary>
    Default,

    /// <summary>One process at a time: it cannot be shared.</summary>
    ExclusiveProcess,

    /// <summary>No process.</summary>
    Prohibited,
}

/// <summary>One GPU. What its driver does not tell (in a container, or when it is broken) is null or has its default.</summary>
public sealed record Gpu
{
    /// <summary>Its number in nvidia-smi, which goes by the PCI bus.</summary>
    public required int Index { get; init; }

    /// <summary><c>GPU-...</c>: what a pod is given. Indexes change with <c>CUDA_VISIBLE_DEVICES</c> and over restarts.</summary>
    public required string Uuid { get; init; }

    /// <summary>As nvidia-smi says it: <c>NVIDIA H100 80GB HBM3</c>.</summary>
    public required string Name { get; init; }

    /// <summary>The machine, where an inventory holds several; GPUs of one pod come from one machine.</summary>
    public string Node { get; init; } = "";

    /// <summary>All of its memory, MiB.</summary>
    public long MemoryMiB { get; init; }

    /// <summary>Memory in use, by anyone, MiB.</summary>
    public long? UsedMiB { get; init; }

    public ComputeCapability ComputeCapability { get; init; }

    /// <summary>Such as <c>580.95.05</c>.</summary>
    public string? Driver { get; init; }

    public ComputeMode ComputeMode { get; init; }

    public ConfidentialState Confidential { get; init; }

    /// <summary>Whether it is in MIG mode. Then only its slices can be given away.</summary>
    public bool MigEnabled { get; init; }

    public IReadOnlyList<MigSlice> Slices { get; init; } = [];

    /// <summary>NVLinks that are up, and GB/s of one of them in one direction; zero: none, or not told.</summary>
    public NvLinks NvLinks { get; init; }

    /// <summary>Why it must not be used, in words; null: it is well.</summary>
    public string? Fault { get; init; }
}

/// <summary>A GPU's NVLinks.</summary>
/// <param name="Active">Links that are up.</param>
/// <param name="GBps">GB/s of one link in one direction: 25 of an A100, 26.562 of an H100.</param>
public readonly record struct NvLinks(int Active, double GBps);

/// <summary>A part that a GPU was cut into.</summary>
/// <param name="Uuid"><c>MIG-...</c>: what a pod is given. A process can use one slice only.</param>
/// <param name="Profile">Its shape.</param>
/// <param name="Device">Its number on its GPU.</param>
public sealed record MigSlice(string Uuid, MigProfile Profile, int Device);

/// <summary>How two GPUs of a machine reach each other, from worst to best (nvidia-smi topo -m).</summary>
[JsonConverter(typeof(JsonStringEnumConverter<LinkKind>))]
public enum LinkKind
{
    Unknown,

    /// <summary>Across NUMA nodes.</summary>
    SYS,

    /// <summary>Across PCIe host bridges of one NUMA node.</summary>
    NODE,

    /// <summary>Across one PCIe host bridge (the CPU).</summary>
    PHB,

    /// <summary>Across several PCIe bridges.</summary>
    PXB,

    /// <summary>Across one PCIe bridge.</summary>
    PIX,

    /// <summary>NVLinks.</summary>
    NV,
}

/// <summary>A connection of two GPUs.</summary>
/// <param name="A">UUID of one.</param>
/// <param name="B">UUID of the other.</param>
/// <param name="Kind">The way.</param>
/// <param name="NvLinks">NVLinks that are bonded for it; 0 for other ways.</param>
public sealed record GpuLink(string A, string B, LinkKind Kind, int NvLinks);
