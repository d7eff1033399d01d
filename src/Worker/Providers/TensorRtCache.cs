using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Doctor;

namespace Sluice.Worker.Providers;

/// <summary>
/// Keeps TensorRT's engines and timings where the next start finds them: building an engine takes minutes. What must not
/// share an engine does not share a folder; see <see cref="EngineCacheKey"/>.
/// </summary>
internal static class TensorRtCache
{
    /// <summary>The options with cache folders, which are made; as they are when the caches were switched off by hand.</summary>
    public static IReadOnlyDictionary<string, string> Place(ProviderSettings settings, string model, IReadOnlyDictionary<string, string> options)
    {
        if (options.GetValueOrDefault("trt_engine_cache_enable") is "0" or "False" or "false") return options;
        var smi = NvidiaSmi.Ask();
        var device = int.TryParse(options.GetValueOrDefault("device_id"), out var id) && id < smi.Gpus.Count ? id : 0;
        // No GPU, or no word of it: the provider's own error is about to say so, and a cache for "unknown" is harmless.
        var gpu = smi.Gpus.Count > 0 ? smi.Gpus[device] : null;
        var identity = new EngineIdentity
        {
            ModelHash = EngineCacheKey.HashModel(model),
            OnnxRuntimeVersion = OrtEnv.Instance().GetVersionString(),
            TensorRtVersion = TensorRtVersion(settings) ?? "unknown",
            GpuName = gpu?.Name ?? "unknown",
            ComputeCapability = gpu?.ComputeCapability ?? "unknown",
            MigProfile = smi.Mig.Count > 0 ? smi.Mig[0].Profile : null,
            Options = options,
        };
        var all = options.ToDictionary();
        all.TryAdd("trt_engine_cache_enable", "1");
        all.TryAdd("trt_timing_cache_enable", "1");
        all["trt_engine_cache_path"] = Made(options.GetValueOrDefault("trt_engine_cache_path") ?? settings.TensorRtCache, EngineCacheKey.Of(identity));
        Begin(all["trt_engine_cache_path"]);
        all["trt_timing_cache_path"] = Made(options.GetValueOrDefault("trt_timing_cache_path") ?? settings.TensorRtCache,
            "timings-" + EngineCacheKey.OfTimings(identity));
        return all;
    }

    private static void Begin(string folder)
    {
        try
        {
            EngineMarks.Begin(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InvalidOperationException($"SLUICE_TENSORRT_CACHE: {folder} cannot be written ({e.Message}); name a folder that can", e);
        }
    }

    private static string Made(string folder, string key)
    {
        try
        {
            return Directory.CreateDirectory(Path.Combine(folder, key)).FullName;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InvalidOperationException($"SLUICE_TENSORRT_CACHE: {folder} cannot be written ({e.Message}); name a folder that can", e);
        }
    }

    private static string? TensorRtVersion(ProviderSettings settings)
    {
        var load = GpuLibraries.Load(new GpuLibrary("libnvinfer.so.10", "TensorRT"), GpuLibraries.Folders(settings.CudaLibraryPath));
        return load.Path is null ? null : NativeVersions.Of("TensorRT", NativeLibrary.Load(load.Path));
    }
}
