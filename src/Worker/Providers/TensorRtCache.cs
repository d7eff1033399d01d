using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Devices;

namespace Sluice.Worker.Providers;

/// <summary>
/// Stores TensorRT's engines and timings for the next start, because building an engine takes minutes. Engines of
/// different identities never share a folder; see <see cref="EngineCacheKey"/>.
/// </summary>
internal static class TensorRtCache
{
    /// <summary>
    /// Creates the cache folders and returns the options with their paths. Returns the options unchanged if they
    /// switch the cache off.
    /// </summary>
    public static IReadOnlyDictionary<string, string> AddFolders(
        ProviderSettings settings,
        string model,
        IReadOnlyDictionary<string, string> options)
    {
        if (options.GetValueOrDefault("trt_engine_cache_enable") is "0" or "False" or "false") return options;
        var smi = NvidiaSmi.Read();
        _ = int.TryParse(options.GetValueOrDefault("device_id"), out var device);
        // If nvidia-smi reports no GPU, the provider itself fails next with its own error. A cache for "unknown" is
        // harmless.
        var (gpu, mig) = FindDevice(smi, Environment.GetEnvironmentVariable("CUDA_VISIBLE_DEVICES"), device);
        var identity = new EngineIdentity
        {
            ModelHash = EngineCacheKey.HashModel(model),
            OnnxRuntimeVersion = OrtEnv.Instance().GetVersionString(),
            TensorRtVersion = TensorRtVersion(settings) ?? "unknown",
            GpuName = gpu?.Name ?? "unknown",
            ComputeCapability = gpu?.ComputeCapability ?? "unknown",
            MigProfile = mig?.Profile,
            Options = options,
        };
        var all = options.ToDictionary();
        all.TryAdd("trt_engine_cache_enable", "1");
        all.TryAdd("trt_timing_cache_enable", "1");
        all["trt_engine_cache_path"] = CreateFolder(
            options.GetValueOrDefault("trt_engine_cache_path") ?? settings.TensorRtCache,
            EngineCacheKey.ForEngine(identity));
        MarkLoad(all["trt_engine_cache_path"]);
        all["trt_timing_cache_path"] = CreateFolder(
            options.GetValueOrDefault("trt_timing_cache_path") ?? settings.TensorRtCache,
            "timings-" + EngineCacheKey.ForTimings(identity));
        return all;
    }

    /// <summary>
    /// Returns the GPU, and the MIG instance if it is one, that CUDA uses as a device.
    /// </summary>
    /// <param name="smi">The output of nvidia-smi.</param>
    /// <param name="visible">Value of CUDA_VISIBLE_DEVICES.</param>
    /// <param name="device">Index of the device in CUDA. An index that does not exist means the first device.</param>
    internal static (GpuFacts? Gpu, MigInstance? Mig) FindDevice(SmiAnswer smi, string? visible, int device)
    {
        var names = visible?.Split(',', StringSplitOptions.TrimEntries) ?? [];
        var name = names.ElementAtOrDefault(device) ?? names.FirstOrDefault();
        if (smi.Mig.FirstOrDefault(m => m.Uuid == name) is { } mig)
            return (smi.Gpus.FirstOrDefault(g => g.Index == mig.Gpu), mig);
        var gpus = GpuMonitor.Visible(smi, visible);
        var gpu = gpus.ElementAtOrDefault(device) ?? (gpus.Count > 0 ? gpus[0] : null);
        // Without the name of an instance, CUDA uses the first one of a GPU in MIG mode.
        return (gpu, smi.Mig.FirstOrDefault(m => m.Gpu == gpu?.Index));
    }

    private static void MarkLoad(string folder)
    {
        try
        {
            EngineMarks.MarkLoad(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw NotWritable(folder, e);
        }
    }

    private static string CreateFolder(string folder, string key)
    {
        try
        {
            return Directory.CreateDirectory(Path.Combine(folder, key)).FullName;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw NotWritable(folder, e);
        }
    }

    private static InvalidOperationException NotWritable(string folder, Exception e) => new(
        $"SLUICE_TENSORRT_CACHE: {folder} cannot be written ({e.Message}); name a writable folder", e);

    private static string? TensorRtVersion(ProviderSettings settings)
    {
        var load = GpuLibraries.Load(
            new GpuLibrary("libnvinfer.so.10", "TensorRT"),
            GpuLibraries.Folders(settings.CudaLibraryPath));
        return load.Path is null ? null : NativeVersions.Read("TensorRT", NativeLibrary.Load(load.Path));
    }
}
