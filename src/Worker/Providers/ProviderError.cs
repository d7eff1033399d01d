using System.Text.RegularExpressions;

namespace Sluice.Worker.Providers;

/// <summary>
/// Converts error messages of ONNX Runtime, CUDA and TensorRT into a sentence that names the piece to change; pure.
/// Unknown messages are passed on unchanged.
/// </summary>
public static partial class ProviderError
{
    /// <summary>
    /// Returns whether an error is a failure of the device or its libraries. Otherwise the model rejected its input.
    /// </summary>
    public static bool IsOfDevice(string error) => Known(error) is not null || DeviceWords().IsMatch(error);

    /// <summary>Returns the explanation of an error.</summary>
    /// <param name="provider">The provider that failed.</param>
    /// <param name="error">Message of the exception.</param>
    public static string Explain(string provider, string error) =>
        Known(error) ?? $"{provider} reported: {OneLine(error)}";

    private static string? Known(string error)
    {
        bool Says(string text) => error.Contains(text, StringComparison.OrdinalIgnoreCase);
        if (MissingLibrary().Match(error) is { Success: true } missing) return OfLibrary(missing.Groups[1].Value);
        if (Says("undefined symbol"))
            return $"libraries of different versions are mixed ({Symbol().Match(error).Value}): this build requires "
                + "CUDA 13, cuDNN 9 and TensorRT 10 only";
        if (Says("Target GPU SM 70") || Says("no kernel image is available") || Says("unsupported architecture"))
            return "the GPU is too old for this build: CUDA 13 and TensorRT support compute capability 7.5 (Turing) "
                + "and newer; Volta (V100, 7.0) is not supported";
        if (Says("driver version is insufficient") || Says("CUDA failure 35"))
            return "NVIDIA's driver is too old for CUDA 13: update it to 580 or newer on the host";
        if (Says("no CUDA-capable device") || Says("CUDA failure 100"))
            return "CUDA sees no GPU: check that nvidia-smi lists one here, and that CUDA_VISIBLE_DEVICES names it "
                + "(a MIG instance by its MIG-UUID)";
        if (Says("invalid device ordinal") || Says("CUDA failure 101"))
            return "the option device_id is beyond the GPUs that CUDA sees: with CUDA_VISIBLE_DEVICES or in a MIG "
                + "instance, count from 0";
        if (Says("out of memory") || Says("CUBLAS_STATUS_ALLOC_FAILED")
            || Says("Failed to allocate memory for requested buffer"))
            return "the GPU does not have enough free memory: another process uses it, the model is too large, or "
                + "gpu_mem_limit is too small";
        if (Says("system not yet initialized") || Says("CUDA failure 802"))
            return "the GPU is not ready: on HGX machines start nvidia-fabricmanager (version of the driver); "
                + "with confidential computing, set it to ready (nvidia-smi conf-compute -srs 1)";
        if (Says("No supported adapters") || Says("Failed to get a WebGPU adapter") || Says("Couldn't load Vulkan"))
            return "no Vulkan device that WebGPU can use: install the GPU's Vulkan driver and libvulkan1 (a software "
                + "device needs Mesa 25 or newer)";
        if (Says("WebGPU execution provider is not supported in this build"))
            return "this libonnxruntime.so has no WebGPU: publish the worker with -p:OnnxRuntime=webgpu";
        if (Says("is not enabled in this build") || Says("Unable to find an entry point"))
            return "this libonnxruntime.so is a CPU-only build: publish the worker with -p:OnnxRuntime=nvidia";
        if (Says("disable_cpu_ep_fallback")) return "a node that must not run on the CPU was placed on the CPU";
        return null;
    }

    private static string OfLibrary(string file) => file switch
    {
        _ when file.StartsWith("libonnxruntime_providers_", StringComparison.Ordinal) =>
            $"{file} is not beside libonnxruntime.so: publish the worker with -p:OnnxRuntime=nvidia",
        _ when file.StartsWith("libcuda.so", StringComparison.Ordinal) =>
            $"{file} is missing: no NVIDIA driver here; in a container start it with --gpus all and "
                + "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        _ when file.StartsWith("libnvinfer", StringComparison.Ordinal)
            || file.StartsWith("libnvonnxparser", StringComparison.Ordinal) =>
            $"{file} is missing: install TensorRT 10, not 11 (pip install 'tensorrt>=10,<11'), or name its folder in "
                + "SLUICE_CUDA_LIBRARY_PATH",
        _ when file.StartsWith("libcudnn", StringComparison.Ordinal) =>
            $"{file} is missing: install cuDNN 9 for CUDA 13, or name its folder in SLUICE_CUDA_LIBRARY_PATH",
        _ => $"{file} is missing: install CUDA 13's libraries, or name their folder in SLUICE_CUDA_LIBRARY_PATH",
    };

    private static string OneLine(string error) => error.Trim().ReplaceLineEndings(" ");

    [GeneratedRegex(@"(lib[\w+-]+\.so[.\d]*): cannot open shared object file")]
    private static partial Regex MissingLibrary();

    [GeneratedRegex(@"undefined symbol: [^\n]{1,200}")]
    private static partial Regex Symbol();

    [GeneratedRegex(
        "CUDA|CUBLAS|cuDNN|TensorRT|NvInfer|WebGPU|Dawn|Vulkan|BFCArena|NOT_IMPLEMENTED",
        RegexOptions.IgnoreCase)]
    private static partial Regex DeviceWords();
}
