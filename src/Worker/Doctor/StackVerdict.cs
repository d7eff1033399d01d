using System.Globalization;
using Sluice.Worker.Devices;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Doctor;

/// <summary>
/// Evaluates a <see cref="StackReport"/>; pure. Of all missing pieces it reports the lowest one, because the others
/// can be consequences of it. Sources of the requirements: onnxruntime.ai's requirement tables, the release notes of
/// 1.27 to 1.31, and NVIDIA's documents on CUDA 13 (drivers from 580, GPUs from Turing, compute capability 7.5).
/// </summary>
public static class StackVerdict
{
    /// <summary>The oldest driver branch that supports CUDA 13.</summary>
    public const int DriverNeeded = 580;

    /// <summary>The oldest GPUs that CUDA 13 and TensorRT 10 support: Turing.</summary>
    public static readonly Version CapabilityNeeded = new(7, 5);

    /// <summary>Returns which provider will serve.</summary>
    public static Verdict Evaluate(StackReport report)
    {
        var settings = report.Requested;
        var checks = settings.Requested.Select(p => (Provider: p, Why: Missing(report, p))).ToList();
        var serving = checks.Find(c => c.Why is null).Provider
            ?? (settings.Policy == ProviderPolicy.Prefer ? "cpu" : null);
        var missing = checks.Find(c => c.Why is not null);
        if (settings.Policy == ProviderPolicy.Require && missing.Why is { } why)
        {
            var line = $"No provider can serve models: {missing.Provider} is required but not available. Cause: {why}";
            return new Verdict(false, null, line);
        }
        if (serving is not "cpu")
        {
            var skipped = checks is [var first, ..] && first.Provider != serving
                ? $" {Title(first.Provider)} is not available. Cause: {first.Why}"
                : "";
            return new Verdict(true, serving, $"{Title(serving!)} will serve{On(report, serving!)}.{skipped}");
        }

        // The CPU serves, as requested or because no other provider is available. In both cases the verdict says what
        // the GPU needs.
        if (missing.Why is { } reason)
            return new Verdict(
                true,
                "cpu",
                $"The CPU will serve, because {missing.Provider} is not available. Cause: {reason}");
        return new Verdict(true, "cpu", "The CPU will serve, as requested. " + (Missing(report, "cuda") is { } cuda
            ? $"CUDA is not available. Cause: {cuda}"
            : "A GPU is ready: set SLUICE_EXECUTION_PROVIDERS=cuda to use it."));
    }

    /// <summary>Returns the lowest missing piece of a provider, or null if it is available.</summary>
    public static string? Missing(StackReport report, string provider) => provider switch
    {
        "cpu" => Failed(report, "cpu"),
        "webgpu" => Failed(report, "webgpu"),
        _ => Hardware(report) ?? DriverLayer(report) ?? Gpu(report)
            ?? Software(report, provider) ?? Failed(report, provider),
    };

    /// <summary>Returns notes about conditions that do not prevent serving.</summary>
    public static IReadOnlyList<string> Notes(StackReport report)
    {
        var notes = new List<string>();
        var old = report.Gpus.Where(TooOld).ToList();
        if (old.Count > 0 && old.Count < report.Gpus.Count)
            notes.Add($"GPU {string.Join(", ", old.Select(g => $"{g.Index} ({g.Name})"))} is older than compute "
                + $"capability {CapabilityNeeded} and cannot be used: leave it out of CUDA_VISIBLE_DEVICES");
        if (report.Mig.Count > 1)
            notes.Add($"{report.Mig.Count} MIG instances: a worker uses one, the first unless CUDA_VISIBLE_DEVICES "
                + "names another by its UUID");
        if (report.Library("cuDNN") is { Found: false } && report.Library("cuBLAS") is { Found: true })
            notes.Add("cuDNN 9 is missing: convolutions and some other operators will fail on cuda");
        if (report.Library("NCCL") is { Found: false })
            notes.Add("NCCL is missing: needed only by models that are spread over several GPUs");
        return notes;
    }

    private static string? Hardware(StackReport report)
    {
        if (report.Gpus.Count > 0) return null;
        if (report.VisibleDevices is "" or "-1" && report.DeviceFiles)
            return $"CUDA_VISIBLE_DEVICES is '{report.VisibleDevices}', which hides every GPU: unset it";
        if (report.DeviceFiles)
            return report.SmiError is { } error && IsLost(error)
                ? $"the GPU does not answer ({error}): reset or reboot the machine"
                : null;
        if (report.KernelDriver is { } driver)
            return $"the host has NVIDIA's driver {driver}, but this container sees no /dev/nvidia0: start it with "
                + "--gpus all (Docker), --device nvidia.com/gpu=all (Podman) or a limit of nvidia.com/gpu: 1 "
                + "(Kubernetes)";
        return report.PciGpus > 0
            ? $"{Count(report.PciGpus, "NVIDIA GPU")} on the PCI bus, but no NVIDIA driver is loaded: install driver "
                + $"{DriverNeeded} or newer on the host"
            : "this machine has no NVIDIA GPU (none on its PCI bus, no driver, no nvidia-smi)";
    }

    private static string? DriverLayer(StackReport report)
    {
        if (Major(report.Driver) is { } driver and < DriverNeeded)
            return $"NVIDIA's driver is {report.Driver}, and this build's CUDA 13 needs {DriverNeeded} or newer "
                + $"(driver {driver} supports at most CUDA {(driver < 525 ? "11" : "12")}): update the driver on the "
                + "host";
        if (report.Cuda.Found) return null;
        return $"libcuda.so.1 cannot be loaded ({report.Cuda.Error ?? "not found"}): in a container set "
            + "NVIDIA_DRIVER_CAPABILITIES=compute,utility; on a host reinstall the driver's CUDA part";
    }

    private static string? Gpu(StackReport report)
    {
        if (report.Gpus.Count > 0 && report.Gpus.All(TooOld))
            return $"{report.Gpus[0].Name} has compute capability {report.Gpus[0].ComputeCapability}, and this build's "
                + $"CUDA 13 supports {CapabilityNeeded} (Turing) and newer: "
                + (IsVolta(report.Gpus[0]) ? "CUDA 13 does not support Volta; " : "")
                + "use a newer GPU, or the CPU";
        if (report.Gpus.Count > 0 && report.Gpus.All(g => g.MigEnabled == true) && report.Mig.Count == 0)
            return $"MIG is on for {report.Gpus[0].Name}, but it has no instance: create one "
                + "(nvidia-smi mig -cgi PROFILE -C), or switch MIG off (nvidia-smi -mig 0)";
        return report.Gpus.Count > 0 && report.VisibleDevices is "" or "-1"
            ? $"CUDA_VISIBLE_DEVICES is '{report.VisibleDevices}', which hides every GPU: unset it" : null;
    }

    private static string? Software(StackReport report, string provider)
    {
        var shared = report.ProviderLibraries.Contains("shared");
        if (!shared || !report.ProviderLibraries.Contains(provider))
            return $"libonnxruntime_providers_{(shared ? provider : "shared")}.so is not beside libonnxruntime.so: "
                + "publish the worker with -p:OnnxRuntime=nvidia";
        foreach (var name in new[] { "CUDA runtime", "cuBLAS", "cuRAND" })
            if (report.Library(name) is { Found: false } missing)
                return Install(missing, name == "cuRAND" ? "10" : "13");
        if (provider != "tensorrt") return null;
        if (report.Library("cuDNN") is { Found: false } cudnn) return Install(cudnn, "9");
        if (report.Library("TensorRT") is not { Found: false } tensorRt) return null;
        if (report.TensorRtMajors.Contains(10)) return Install(tensorRt, "10");
        return report.TensorRtMajors.Where(m => m > 10).ToList() is not [.., var newer]
            ? Install(tensorRt, "10")
            : $"TensorRT {newer} is installed, and this build of ONNX Runtime loads libnvinfer.so.10: install "
                + "TensorRT 10 (pip install 'tensorrt>=10,<11')";
    }

    private static string? Failed(StackReport report, string provider) => report.Run(provider) switch
    {
        { Error: { } error } => ProviderError.Explain(provider, error),
        null when provider is "webgpu" => "webgpu was not tried",
        _ => null,
    };

    private static string Install(Layer layer, string version) =>
        $"{layer.Name} {version} cannot be loaded ({layer.Error ?? "not found"}): install it, or name its folder in "
        + "SLUICE_CUDA_LIBRARY_PATH";

    private static string Title(string provider) => provider switch
    {
        "cuda" => "CUDA",
        "tensorrt" => "TensorRT",
        "webgpu" => "WebGPU",
        _ => provider,
    };

    private static string On(StackReport report, string provider)
    {
        if (provider is "webgpu" || report.Gpus.Count == 0) return "";
        if (report.Mig.Count == 0) return $" on {report.Gpus.First(g => !TooOld(g)).Name}";
        var gpu = report.Gpus[report.Mig[0].Gpu < report.Gpus.Count ? report.Mig[0].Gpu : 0];
        return $" on a MIG {report.Mig[0].Profile} of {gpu.Name}";
    }

    private static bool IsLost(string smiError) => smiError.Contains("within", StringComparison.Ordinal)
        || smiError.Contains("fallen off", StringComparison.Ordinal)
        || smiError.Contains("Unable to determine the device handle", StringComparison.Ordinal);

    private static bool TooOld(GpuFacts gpu) =>
        Version.TryParse(gpu.ComputeCapability, out var capability) && capability < CapabilityNeeded;

    private static bool IsVolta(GpuFacts gpu) => gpu.ComputeCapability is "7.0" or "7.2";

    private static int? Major(string? version) =>
        int.TryParse(version?.Split('.')[0], NumberStyles.None, CultureInfo.InvariantCulture, out var major)
            ? major
            : null;

    private static string Count(int n, string what) => n == 1 ? $"one {what} is" : $"{n} {what}s are";
}
