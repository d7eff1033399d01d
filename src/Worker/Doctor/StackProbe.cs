using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Devices;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Doctor;

/// <summary>
/// Collects facts about the stack from the hardware up, without judging them. It changes nothing except that it loads
/// libraries.
/// </summary>
internal static partial class StackProbe
{
    /// <summary>Collects the report.</summary>
    /// <param name="settings">Settings with the library path to search and the requested providers to try.</param>
    /// <param name="tryProviders">False: no model is run. Used to explain a failure.</param>
    public static StackReport Inspect(ProviderSettings settings, bool tryProviders)
    {
        var smi = NvidiaSmi.Read();
        var folders = GpuLibraries.Folders(settings.CudaLibraryPath);
        var report = new StackReport
        {
            Requested = settings,
            Gpus = smi.Gpus,
            Mig = smi.Mig,
            SmiError = smi.Error,
            PciGpus = PciGpus("/sys/bus/pci/devices"),
            KernelDriver = KernelDriver("/proc/driver/nvidia/version"),
            DeviceFiles = File.Exists("/dev/nvidiactl") || File.Exists("/dev/dxg"),
            VisibleDevices = Environment.GetEnvironmentVariable("CUDA_VISIBLE_DEVICES"),
            Cuda = LoadLayer("libcuda", [new GpuLibrary("libcuda.so.1", "libcuda")], folders),
            Libraries = Libraries(smi.Gpus.Count, folders),
            TensorRtMajors = GpuLibraries.MajorVersions("libnvinfer", folders),
            OnnxRuntime = OrtEnv.Instance().GetVersionString(),
            ProviderLibraries = ProviderLibraries(),
            HasWebGpu = OrtEnv.Instance().GetAvailableProviders().Contains("WebGpuExecutionProvider"),
        };
        return tryProviders ? report with { Runs = Runs(report) } : report;
    }

    /// <summary>
    /// Counts NVIDIA's display controllers (class 03) in a sysfs folder. Its audio and switch functions are not
    /// counted.
    /// </summary>
    public static int PciGpus(string folder) => !Directory.Exists(folder) ? 0 : Directory.EnumerateDirectories(folder)
        .Count(d => Text(Path.Combine(d, "vendor")) == "0x10de"
            && Text(Path.Combine(d, "class")).StartsWith("0x03", StringComparison.Ordinal));

    /// <summary>
    /// Returns the version from <c>NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.159.03  ...</c>
    /// </summary>
    public static string? KernelDriver(string path) =>
        DriverVersion().Match(Text(path)) is { Success: true } match ? match.Value : null;

    private static List<Layer> Libraries(int gpus, IReadOnlyList<string> folders)
    {
        var all = GpuLibraries.For("tensorrt");
        var layers = new[] { "CUDA runtime", "cuBLAS", "cuRAND", "cuDNN", "TensorRT" }
            .Select(name => LoadLayer(name, [.. all.Where(l => l.Of == name)], folders)).ToList();
        if (gpus > 1) layers.Add(LoadLayer("NCCL", [new GpuLibrary("libnccl.so.2", "NCCL")], folders));
        return layers;
    }

    /// <summary>
    /// Loads the libraries of a layer. The layer is found if all libraries that are not optional are found. Its
    /// version is the first version that one of them reports.
    /// </summary>
    private static Layer LoadLayer(string name, IReadOnlyList<GpuLibrary> libraries, IReadOnlyList<string> folders)
    {
        var loads = GpuLibraries.Load(libraries, folders);
        if (loads.FirstOrDefault(l => l is { Error: not null, Library.Optional: false }) is { } failed)
            return new Layer(name, false, Error: failed.Error);
        var version = loads.Where(l => l.Path is not null)
            .Select(l => NativeVersions.Read(name, NativeLibrary.Load(l.Path!)))
            .FirstOrDefault(v => v is not null);
        return new Layer(name, true, version);
    }

    private static string[] ProviderLibraries() => [.. new[] { "shared", "cuda", "tensorrt" }.Where(p =>
        new[] { AppContext.BaseDirectory, Path.Combine(AppContext.BaseDirectory, "runtimes/linux-x64/native") }
            .Any(f => File.Exists(Path.Combine(f, $"libonnxruntime_providers_{p}.so"))))];

    /// <summary>
    /// Tries the CPU, and each provider that is requested or available. CUDA and TensorRT are tried only if no lower
    /// layer is missing. Otherwise the missing layer is already reported, and the trial would report it less clearly.
    /// </summary>
    private static List<ProviderRun> Runs(StackReport report) => [.. ProviderSettings.Known.Reverse()
        .Where(p => p == "cpu" || (p == "webgpu"
            ? report.Requested.Requested.Contains(p)
            : StackVerdict.Missing(report, p) is null))
        .Select(p => ProviderTrial.Run(p, report.Requested))];

    private static string Text(string path)
    {
        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    [GeneratedRegex(@"(?<=Kernel Module.*\s)\d{3,4}(\.\d+)+")]
    private static partial Regex DriverVersion();
}
