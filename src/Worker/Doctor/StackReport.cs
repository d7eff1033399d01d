using Sluice.Worker.Providers;

namespace Sluice.Worker.Doctor;

/// <summary>A library or layer as it was found.</summary>
/// <param name="Name">CUDA runtime, cuBLAS, cuDNN, ...</param>
/// <param name="Found">It loads.</param>
/// <param name="Version">What it says of itself; null: not asked, or it would not say.</param>
/// <param name="Error">The loader's words when it does not load.</param>
public sealed record Layer(string Name, bool Found, string? Version = null, string? Error = null);

/// <summary>What a tiny model did on a provider.</summary>
/// <param name="Provider"><c>tensorrt</c>, <c>cuda</c>, <c>webgpu</c> or <c>cpu</c>.</param>
/// <param name="Error">ONNX Runtime's words; null: it ran, on that provider, and the result was right.</param>
/// <param name="Milliseconds">Of session, first run and check.</param>
public sealed record ProviderRun(string Provider, string? Error, double Milliseconds);

/// <summary>
/// All that was seen of the stack, from the hardware up. Nothing in it is judged: that is <see cref="StackVerdict"/>'s,
/// which is pure, so that a machine that nobody has at hand is a few lines of a test.
/// </summary>
public sealed record StackReport
{
    /// <summary>What was asked for.</summary>
    public ProviderSettings Wish { get; init; } = new();

    public IReadOnlyList<GpuFacts> Gpus { get; init; } = [];

    public IReadOnlyList<MigInstance> Mig { get; init; } = [];

    /// <summary>Why nvidia-smi said nothing.</summary>
    public string? SmiError { get; init; }

    /// <summary>Display devices of NVIDIA on the PCI bus (sysfs, vendor 0x10de); containers see the host's.</summary>
    public int PciGpus { get; init; }

    /// <summary>The kernel driver's version, from /proc/driver/nvidia/version; containers see the host's.</summary>
    public string? KernelDriver { get; init; }

    /// <summary>/dev/nvidiactl is there (or WSL's /dev/dxg).</summary>
    public bool DeviceFiles { get; init; }

    /// <summary>CUDA_VISIBLE_DEVICES; null: not set.</summary>
    public string? VisibleDevices { get; init; }

    /// <summary>libcuda.so.1, which comes with the driver; its version is the newest CUDA that it carries.</summary>
    public Layer Cuda { get; init; } = new("libcuda", false);

    /// <summary>CUDA runtime, cuBLAS, cuRAND, cuDNN, TensorRT, and NCCL where several GPUs are there.</summary>
    public IReadOnlyList<Layer> Libraries { get; init; } = [];

    /// <summary>Major versions of libnvinfer that lie in the folders: 11 without 10 is the commonest mistake.</summary>
    public IReadOnlyList<int> TensorRtMajors { get; init; } = [];

    public string OnnxRuntime { get; init; } = "";

    /// <summary>Provider libraries beside ONNX Runtime's: shared, cuda, tensorrt.</summary>
    public IReadOnlyList<string> ProviderLibraries { get; init; } = [];

    /// <summary>A provider that was not tried has no entry.</summary>
    public IReadOnlyList<ProviderRun> Runs { get; init; } = [];

    /// <summary>The driver's version: nvidia-smi's, or the kernel's.</summary>
    public string? Driver => Gpus.Select(g => g.Driver).FirstOrDefault(d => d is not null) ?? KernelDriver;

    public Layer? Library(string name) => Libraries.FirstOrDefault(l => l.Name == name);

    public ProviderRun? Run(string provider) => Runs.FirstOrDefault(r => r.Provider == provider);
}
