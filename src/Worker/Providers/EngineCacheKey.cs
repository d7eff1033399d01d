using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Sluice.Worker.Providers;

/// <summary>
/// Computes the names of the folders for engines and timing caches. TensorRT checks only a part of the identity. On
/// other differences it crashes or returns wrong results, so engines of different identities never share a folder.
/// </summary>
public static class EngineCacheKey
{
    /// <summary>Options that set paths or logging and do not change an engine.</summary>
    private static readonly string[] Indifferent =
    [
        "trt_engine_cache_enable", "trt_engine_cache_path", "trt_engine_cache_prefix", "trt_timing_cache_enable",
        "trt_timing_cache_path", "trt_force_timing_cache", "trt_detailed_build_log", "trt_dump_subgraphs", "device_id",
        "trt_force_sequential_engine_build", "trt_context_memory_sharing_enable",
    ];

    /// <summary>Returns the folder name of the engines: 32 hex digits of SHA-256 over the whole identity.</summary>
    public static string ForEngine(EngineIdentity identity) => Digest(
    [
        "engine", identity.ModelHash, identity.OnnxRuntimeVersion, identity.TensorRtVersion, identity.GpuName,
        identity.ComputeCapability, identity.MigProfile ?? "",
        .. identity.Options
            .Where(o => !Indifferent.Contains(o.Key))
            .OrderBy(o => o.Key, StringComparer.Ordinal)
            .SelectMany(o => new[] { o.Key, o.Value }),
    ]);

    /// <summary>
    /// Returns the folder name of the timing cache. Kernel timings are valid for all models on equal hardware.
    /// </summary>
    public static string ForTimings(EngineIdentity identity) => Digest(
    [
        "timings", identity.TensorRtVersion, identity.GpuName, identity.ComputeCapability, identity.MigProfile ?? "",
    ]);

    /// <summary>
    /// Returns a hash of the content of the model's file and of the names, lengths and modification times of the
    /// files beside it. These files can be gigabytes of external weights, so their content is not read; a copy of
    /// them only misses the cache.
    /// </summary>
    public static string HashModel(string path)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using (var file = File.OpenRead(path)) hash.AppendData(SHA256.HashData(file));
        foreach (var beside in new DirectoryInfo(Path.GetDirectoryName(Path.GetFullPath(path))!).EnumerateFiles()
            .Where(f => f.FullName != Path.GetFullPath(path)).OrderBy(f => f.Name, StringComparer.Ordinal))
            hash.AppendData(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture,
                $"{beside.Name}\n{beside.Length}\n{beside.LastWriteTimeUtc.Ticks}\n")));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Hashes each part with its length first, so that no two lists produce the same text.</summary>
    private static string Digest(IEnumerable<string> parts)
    {
        var text = string.Concat(parts.Select(p => string.Create(CultureInfo.InvariantCulture, $"{p.Length}:{p}\n")));
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..32];
    }
}
