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
