using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Doctor;

/// <summary>Looks at the stack, from the hardware up, and judges nothing. Changes nothing either, but what loading a library does.</summary>
internal static partial class StackProbe
{
    /// <param name="wish">What is wished; its library path is searched, its providers are tried.</param>
    /// <param name="tryProviders">False: no model is run (after a failure that is to be explained).</param>
    public static StackReport Look(ProviderSettings wish, bool tryProviders)
    {
        var smi = NvidiaSmi.Ask();
        var folders = GpuLibraries.Folders(wish.CudaLibraryPath);
        var report = new StackReport
        {
            Wish = wish,
            Gpus = smi.Gpus,
            Mig = smi.Mig,
            SmiError = smi.Error,
            PciGpus = PciGpus("/sys/bus/pci/devices"),
            KernelDriver = KernelDriver("/proc/driver/nvidia/version"),
            DeviceFiles = File.Exists("/dev/nvidiactl") || File.Exists("/dev/dxg"),
            VisibleDevices = Environment.GetEnvironmentVariable("CUDA_VISIBLE_DEVICES"),
            Cuda = Look("libcuda", [new GpuLibrary("libcuda.so.1", "libcuda")], folders),
            Libraries = Libraries(smi.Gpus.Count, folders),
            TensorRtMajors = GpuLibraries.MajorVersions("libnvinfer", folders),
            OnnxRuntime = OrtEnv.Instance().GetVersionString(),
            ProviderLibraries = ProviderLibraries(),
        };
        return tryProviders ? report with { Runs = Runs(report) } : report;
    }

    /// <summary>NVIDIA's display controllers (class 03) of a sysfs folder; its audio and switch functions are not counted.</summary>
    public static int PciGpus(string folder) => !Directory.Exists(folder) ? 0 : Directory.EnumerateDirectories(folder).Count(d =>
        Text(Path.Combine(d, "vendor")) == "0x10de" && Text(Path.Combine(d, "class")).StartsWith("0x03", StringComparison.Ordinal));

    /// <summary>The version out of <c>NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.159.03  ...</c></summary>
    public static string? KernelDriver(string path) => DriverVersion().Match(Text(path)) is { Success: true } match ? match.Value : null;

    private static List<Layer> Libraries(int gpus, IReadOnlyList<string> folders)
    {
        var all = GpuLibraries.For("tensorrt");
        var layers = new[] { "CUDA runtime", "cuBLAS", "cuRAND", "cuDNN", "TensorRT" }
            .Select(name => Look(name, [.. all.Where(l => l.Of == name)], folders)).ToList();
        if (gpus > 1) layers.Add(Look("NCCL", [new GpuLibrary("libnccl.so.2", "NCCL")], folders));
        return layers;
    }

    /// <summary>A layer is found when all its libraries are, but for the optional; the first of them tells the version.</summary>
    private static Layer Look(string name, IReadOnlyList<GpuLibrary> libraries, IReadOnlyList<string> folders)
    {
        var loads = GpuLibraries.Load(libraries, folders);
        if (loads.FirstOrDefault(l => l is { Error: not null, Library.Optional: false }) is { } failed)
            return new Layer(name, false, Error: failed.Error);
        var version = loads.Where(l => l.Path is not null).Select(l => NativeVersions.Of(name, NativeLibrary.Load(l.Path!))).FirstOrDefault(v => v is not null);
        return new Layer(name, true, version);
    }

    private static string[] ProviderLibraries() => [.. new[] { "shared", "cuda", "tensorrt" }.Where(p =>
        new[] { AppContext.BaseDirectory, Path.Combine(AppContext.BaseDirectory, "runtimes/linux-x64/native") }
            .Any(f => File.Exists(Path.Combine(f, $"libonnxruntime_providers_{p}.so"))))];

    /// <summary>
    /// Each provider that is wished or that may be there. CUDA and TensorRT are tried only where nothing below them is
    /// missing: that is named already, and the try would say less clearly the same.
    /// </summary>
    private static List<ProviderRun> Runs(StackReport report) => [.. ProviderSettings.Known.Reverse()
        .Where(p => p == "cpu" || (p == "webgpu" ? report.Wish.Wished.Contains(p) : StackVerdict.Missing(report, p) is null))
        .Select(p => ProviderTrial.Run(p, report.Wish))];

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
