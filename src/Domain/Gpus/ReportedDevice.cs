using System.Text.Json.Serialization;

namespace Sluice.Domain.Gpus;

/// <summary>
/// A GPU or MIG slice as a worker sees it. What nvidia-smi does not say inside a container is null.
/// </summary>
public sealed record ReportedDevice
{
    /// <summary>The UUID of the GPU or of the slice, <c>GPU-...</c> or <c>MIG-...</c>.</summary>
    public required string Uuid { get; init; }

    /// <summary>The name of the GPU: <c>NVIDIA H100 80GB HBM3</c>.</summary>
    public required string Name { get; init; }

    /// <summary>Total memory of the GPU in MiB; that of a slice follows from its profile.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? MemoryMiB { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ComputeCapability? ComputeCapability { get; init; }

    /// <summary>The driver version, for example <c>580.95.05</c>.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Driver { get; init; }

    /// <summary>The profile of a MIG slice; null: a whole GPU.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MigProfile? Mig { get; init; }
}
