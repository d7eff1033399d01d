using System.Globalization;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Doctor;

/// <summary>What the stack comes to.</summary>
/// <param name="Served">What is wished can be served.</param>
/// <param name="Serving">The first wished provider that can be had; null: the worker would not start.</param>
/// <param name="Line">One sentence or two: what will serve and, if not the GPU, the one thing to fix.</param>
public sealed record Verdict(bool Served, string? Serving, string Line);

/// <summary>
/// Judges a <see cref="StackReport"/>; pure. Of all that is missing it names the lowest piece: the rest may only follow
/// from it. What is needed: onnxruntime.ai's requirement tables, the release notes of 1.27 to 1.29, and NVIDIA's
/// documents on CUDA 13 (drivers from 580, GPUs from Turing, compute capability 7.5).
/// </summary>
public static class StackVerdict
{
    /// <summary>The oldest driver branch that carries CUDA 13.</summary>
    public const int DriverNeeded = 580;

    /// <summary>The oldest GPUs that CUDA 13 and TensorRT 10 support: Turing.</summary>
    public static readonly Version CapabilityNeeded = new(7, 5);

    /// <summary>What will serve.</summary>
    public static Verdict Of(StackReport report)
    {
        var wish = report.Wish;
        var lacking = wish.Wished.Select(p => (Provider: p, Why: Missing(report, p))).ToList();
        var serving = lacking.Find(l => l.Why is null).Provider ?? (wish.Policy == ProviderPolicy.Prefer ? "cpu" : null);
        if (wish.Policy == ProviderPolicy.Require && lacking.Find(l => l.Why is not null) is { Why: { } why } first)
            return new Verdict(false, null, $"Nothing will serve: {first.Provider} is required. Fix one thing: {why}");
        if (serving is not "cpu")
            return new Verdict(true, serving, $"{Title(serving!)} will serve{On(report, serving!)}."
                + (lacking.TakeWhile(l => l.Provider != serving).ToList() is [var skipped, ..] ? $" For {skipped.Provider} fix one thing: {skipped.Why}" : ""));

        // The CPU serves: as wished, or because nothing better is there. Either way the way to the GPU is of interest.
        if (lacking.Find(l => l.Why is not null) is { Why: { } gpuWhy } wished)
            return new Verdict(true, "cpu", $"The CPU will serve, because {wished.Provider} cannot. Fix one thing: {gpuWhy}");
        return new Verdict(true, "cpu", "The CPU will serve, as wished. " + (Missing(report, "cuda") is { } cuda
            ? $"For the GPU one thing is missing: {cuda}" : "A GPU is ready: set SLUICE_EXECUTION_PROVIDERS=cuda to use it."));
    }

    /// <summary>The lowest missing piece of a provider, or null when it can be had.</summary>
    public static string? Missing(StackReport report, string provider) => provider switch
    {
        "cpu" => Failed(report, "cpu"),
        "webgpu" => Failed(report, "webgpu"),
        _ => Hardware(report) ?? DriverLayer(report) ?? Gpu(report) ?? Software(report, provider) ?? Failed(report, provider),
    };

    /// <summary>What is worth knowing and stops nothing.</summary>
    public static IReadOnlyList<string> Notes(StackReport report)
    {
        var notes = new List<string>();
        var old = report.Gpus.Where(TooOld).ToList();
        if (old.Count > 0 && old.Count < report.Gpus.Count)
            notes.Add($"GPU {string.Join(", ", old.Select(g => $"{g.Index} ({g.Name})"))} is older than compute capability "
                + $"{CapabilityNeeded} and cannot be used: leave it out of CUDA_VISIBLE_DEVICES");
        if (report.Mig.Count > 1)
            notes.Add($"{report.Mig.Count} MIG instances: a worker uses one, the first unless CUDA_VISIBLE_DEVICES names another by its UUID");
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
            return report.SmiError is { } said && Fell(said) ? $"the GPU does not answer ({said}): reset or reboot the machine" : null;
        if (report.KernelDriver is { } driver)
            return $"the host has NVIDIA's driver {driver}, but this container sees no /dev/nvidia0: start it with --gpus all "
                + "(Docker), --device nvidia.com/gpu=all (Podman) or a limit of nvidia.com/gpu: 1 (Kubernetes)";
        return report.PciGpus > 0
            ? $"{Count(report.PciGpus, "NVIDIA GPU")} on the PCI bus, but no NVIDIA driver is loaded: install driver {DriverNeeded} or newer on the host"
            : "this machine has no NVIDIA GPU (none on its PCI bus, no driver, no nvidia-smi)";
    }

    private static string? DriverLayer(StackReport report)
    {
        if (Major(report.Driver) is { } driver and < DriverNeeded)
            return $"NVIDIA's driver is {report.Driver}, and this build's CUDA 13 needs {DriverNeeded} or newer (driver {driver} carries CUDA "
                + $"{(driver < 525 ? "11" : "12")} at most): update the driver on the host";
        return report.Cuda.Found ? null : $"libcuda.so.1 cannot be loaded ({report.Cuda.Error ?? "not found"}): in a container set "
            + "NVIDIA_DRIVER_CAPABILITIES=compute,utility; on a host reinstall the driver's CUDA part";
    }

    private static string? Gpu(StackReport report)
    {
        if (report.Gpus.Count > 0 && report.Gpus.All(TooOld))
            return $"{report.Gpus[0].Name} has compute capability {report.Gpus[0].ComputeCapability}, and this build's CUDA 13 carries code from "
                + $"{CapabilityNeeded} (Turing) on: {(IsVolta(report.Gpus[0]) ? "Volta was dropped with CUDA 13; " : "")}use a newer GPU, or the CPU";
        if (report.Gpus.Count > 0 && report.Gpus.All(g => g.MigEnabled == true) && report.Mig.Count == 0)
            return $"MIG is on for {report.Gpus[0].Name} and no instance is cut: make one "
                + "(nvidia-smi mig -cgi PROFILE -C), or switch MIG off (nvidia-smi -mig 0)";
        return report.Gpus.Count > 0 && report.VisibleDevices is "" or "-1"
            ? $"CUDA_VISIBLE_DEVICES is '{report.VisibleDevices}', which hides every GPU: unset it" : null;
    }

    private static string? Software(StackReport report, string provider)
    {
        if (!report.ProviderLibraries.Contains(provider) || !report.ProviderLibraries.Contains("shared"))
            return $"libonnxruntime_providers_{(report.ProviderLibraries.Contains("shared") ? provider : "shared")}.so is not beside libonnxruntime.so: "
                + "publish the worker with -p:OrtGpuProviders=true";
        foreach (var name in new[] { "CUDA runtime", "cuBLAS", "cuRAND" })
            if (report.Library(name) is { Found: false } missing) return Install(missing, name == "cuRAND" ? "10" : "13");
        if (provider != "tensorrt") return null;
        if (report.Library("cuDNN") is { Found: false } cudnn) return Install(cudnn, "9");
        if (report.Library("TensorRT") is not { Found: false } tensorRt) return null;
        return report.TensorRtMajors.Contains(10) || report.TensorRtMajors.Where(m => m > 10).ToList() is not [.., var newer]
            ? Install(tensorRt, "10")
            : $"TensorRT {newer} is installed, and this build of ONNX Runtime loads libnvinfer.so.10: install TensorRT 10 (pip install 'tensorrt>=10,<11')";
    }

    private static string? Failed(StackReport report, string provider) => report.Run(provider) switch
    {
        { Error: { } error } => ProviderError.Explain(provider, error),
        null when provider is "webgpu" => "webgpu was not tried",
        _ => null,
    };

    private static string Install(Layer layer, string version) =>
        $"{layer.Name} {version} cannot be loaded ({layer.Error ?? "not found"}): install it, or name its folder in SLUICE_CUDA_LIBRARY_PATH";

    private static string Title(string provider) => provider switch { "cuda" => "CUDA", "tensorrt" => "TensorRT", "webgpu" => "WebGPU", _ => provider };

    private static string On(StackReport report, string provider) => provider is "webgpu" || report.Gpus.Count == 0 ? ""
        : report.Mig.Count > 0 ? $" on a MIG {report.Mig[0].Profile} of {report.Gpus[report.Mig[0].Gpu < report.Gpus.Count ? report.Mig[0].Gpu : 0].Name}"
        : $" on {report.Gpus.First(g => !TooOld(g)).Name}";

    private static bool Fell(string said) => said.Contains("within", StringComparison.Ordinal) || said.Contains("fallen off", StringComparison.Ordinal)
        || said.Contains("Unable to determine the device handle", StringComparison.Ordinal);

    private static bool TooOld(GpuFacts gpu) => Version.TryParse(gpu.ComputeCapability, out var capability) && capability < CapabilityNeeded;

    private static bool IsVolta(GpuFacts gpu) => gpu.ComputeCapability is "7.0" or "7.2";

    private static int? Major(string? version) =>
        int.TryParse(version?.Split('.')[0], NumberStyles.None, CultureInfo.InvariantCulture, out var major) ? major : null;

    private static string Count(int n, string what) => n == 1 ? $"one {what} is" : $"{n} {what}s are";
}
