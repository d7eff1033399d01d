using System.Text.Json.Serialization;

namespace Sluice.Domain.Gpus;

/// <summary>
/// The type of a connection between two GPUs of a machine, from slowest to fastest (nvidia-smi topo -m).
/// </summary>
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

/// <summary>A connection between two GPUs.</summary>
/// <param name="A">UUID of the first GPU.</param>
/// <param name="B">UUID of the second GPU.</param>
/// <param name="Kind">The type of the connection.</param>
/// <param name="NvLinks">Number of bonded NVLinks; 0 for other types.</param>
public sealed record GpuLink(string A, string B, LinkKind Kind, int NvLinks);
