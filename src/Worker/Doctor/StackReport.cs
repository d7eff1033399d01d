using System.Text.Json.Serialization;
using Sluice.Worker.Devices;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Doctor;

/// <summary>A library or layer and its state.</summary>
/// <param name="Name">CUDA runtime, cuBLAS, cuDNN and others.</param>
/// <param name="Found">True if it can be loaded.</param>
/// <param name="Version">Version that it reports. Null if it was not read or is not reported.</param>
/// <param name="Error">The loader's error if it cannot be loaded.</param>
public sealed record Layer(string Name, bool Found, string? Version = null, string? Error = null);

/// <summary>
/// All facts about the stack, from the hardware up. <see cref="StackVerdict"/> evaluates them. It is pure, so a test
/// can describe any machine in a few lines.
/// </summary>
public sealed record StackReport
{
    /// <summary>The requested providers and their settings.</summary>
    [JsonPropertyName("wish")]
    public ProviderSettings Requested { get; init; } = new();

    public IReadOnlyList<GpuFacts> Gpus { get; init; } = [];

    public IReadOnlyList<MigInstance> Mig { get; init; } = [];

    /// <summary>Why nvidia-smi returned no GPU.</summary>
    public string? SmiError { get; init; }

    /// <summary>
    /// Number of NVIDIA display devices on the PCI bus (sysfs, vendor 0x10de). A container sees those of the host.
    /// </summary>
    public int PciGpus { get; init; }

    /// <summary>
    /// Version of the kernel driver from /proc/driver/nvidia/version. A container sees that of the host.
    /// </summary>
    public string? KernelDriver { get; init; }

    /// <summary>True if /dev/nvidiactl (or WSL's /dev/dxg) exists.</summary>
    public bool DeviceFiles { get; init; }

    /// <summary>Value of CUDA_VISIBLE_DEVICES. Null if it is not set.</summary>
    public string? VisibleDevices { get; init; }

    /// <summary>
    /// libcuda.so.1, a part of the driver. Its version is the newest CUDA version that the driver supports.
    /// </summary>
    public Layer Cuda { get; init; } = new("libcuda", false);

    /// <summary>CUDA runtime, cuBLAS, cuRAND, cuDNN, TensorRT, and NCCL if there are several GPUs.</summary>
    public IReadOnlyList<Layer> Libraries { get; init; } = [];

    /// <summary>
    /// Major versions of libnvinfer in the folders. Version 11 without 10 is the most common mistake.
    /// </summary>
    public IReadOnlyList<int> TensorRtMajors { get; init; } = [];

    public string OnnxRuntime { get; init; } = "";

    /// <summary>Provider libraries beside ONNX Runtime's library: shared, cuda, tensorrt.</summary>
    public IReadOnlyList<string> ProviderLibraries { get; init; } = [];

    /// <summary>True if ONNX Runtime's library contains WebGPU.</summary>
    public bool HasWebGpu { get; init; }

    /// <summary>Results of the trials. A provider that was not tried has no entry.</summary>
    public IReadOnlyList<ProviderRun> Runs { get; init; } = [];

    /// <summary>Version of the driver from nvidia-smi, or from the kernel.</summary>
    public string? Driver => Gpus.Select(g => g.Driver).FirstOrDefault(d => d is not null) ?? KernelDriver;

    public Layer? Library(string name) => Libraries.FirstOrDefault(l => l.Name == name);

    public ProviderRun? Run(string provider) => Runs.FirstOrDefault(r => r.Provider == provider);
}
