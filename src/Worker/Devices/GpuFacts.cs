namespace Sluice.Worker.Devices;

/// <summary>
/// A GPU as reported by nvidia-smi. Values that it does not report (in a MIG instance, in a container) are null.
/// </summary>
/// <param name="Index">Index of the GPU, before CUDA_VISIBLE_DEVICES.</param>
/// <param name="Uuid"><c>GPU-...</c></param>
/// <param name="Name">Product name, for example <c>NVIDIA H200</c>.</param>
/// <param name="Driver">Version of the driver, for example <c>580.159</c>.</param>
/// <param name="ComputeCapability">Compute capability, for example <c>9.0</c>.</param>
/// <param name="MigEnabled">True if MIG is enabled. Null if the GPU does not support MIG or the mode is not
/// reported.</param>
/// <param name="MemoryMiB">Total memory in MiB.</param>
/// <param name="UsedMiB">Used memory in MiB.</param>
/// <param name="Utilization">Share of the last sample in which a kernel ran, in percent.</param>
/// <param name="Celsius">Temperature of the GPU core in degrees Celsius.</param>
/// <param name="Watts">Power draw in watts.</param>
public sealed record GpuFacts(
    int Index,
    string Uuid,
    string Name,
    string? Driver,
    string? ComputeCapability,
    bool? MigEnabled,
    long? MemoryMiB, long? UsedMiB, int? Utilization, int? Celsius = null, double? Watts = null);

/// <summary>A MIG instance.</summary>
/// <param name="Gpu">Index of its GPU.</param>
/// <param name="Profile">Profile, for example <c>1g.10gb</c>.</param>
/// <param name="Device">Number of the instance on its GPU.</param>
/// <param name="Uuid"><c>MIG-...</c>, for CUDA_VISIBLE_DEVICES.</param>
public sealed record MigInstance(int Gpu, string Profile, int Device, string Uuid);

/// <summary>The output of nvidia-smi, or the reason why there is none.</summary>
public sealed record SmiAnswer(IReadOnlyList<GpuFacts> Gpus, IReadOnlyList<MigInstance> Mig, string? Error);
