using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Sluice.Worker.Providers;

/// <summary>Everything that a TensorRT engine depends on: with one of these changed it must be built anew.</summary>
public sealed record EngineIdentity
{
    /// <summary>SHA-256 of the model's file, and what tells its other files apart; see <see cref="EngineCacheKey.HashModel"/>.</summary>
    public required string ModelHash { get; init; }

    public required string OnnxRuntimeVersion { get; init; }

    public required string TensorRtVersion { get; init; }

    public required string GpuName { get; init; }

    /// <summary>Such as 9.0.</summary>
    public required string ComputeCapability { get; init; }

    /// <summary>The MIG slice's profile, such as 1g.10gb: it has fewer multiprocessors than its GPU. Null: the whole GPU.</summary>
    public string? MigProfile { get; init; }

    /// <summary>The provider's options, profiles included.</summary>
    public required IReadOnlyDictionary<string, string> Options { get; init; }
}

/// <summary>
/// Names of the folders in which engines and timing caches are kept. TensorRT checks some of this itself and crashes or
/// gives wrong answers on the rest, so engines of different identities never share a folder.
/// </summary>
public static class EngineCacheKey
{
    /// <summary>Options that say where things are kept or logged and change nothing in an engine.</summary>
    private static readonly string[] Indifferent =
    [
        "trt_engine_cache_enable", "trt_engine_cache_path", "trt_engine_cache_prefix", "trt_timing_cache_enable",
        "trt_timing_cache_path", "trt_force_timing_cache", "trt_detailed_build_log", "trt_dump_subgraphs", "device_id",
        "trt_force_sequential_engine_build", "trt_context_memory_sharing_enable",
    ];

    /// <summary>Folder of the engines: 32 hex digits of SHA-256 over the whole identity.</summary>
    public static string Of(EngineIdentity identity) => Digest(
    [
        "engine", identity.ModelHash, identity.OnnxRuntimeVersion, identity.TensorRtVersion, identity.GpuName,
        identity.ComputeCapability, identity.MigProfile ?? "",
        .. identity.Options.Where(o => !Indifferent.Contains(o.Key)).OrderBy(o => o.Key, StringComparer.Ordinal).SelectMany(o => new[] { o.Key, o.Value }),
    ]);

    /// <summary>Folder of the timing cache: what was measured of kernels serves every model on equal hardware.</summary>
    public static string OfTimings(EngineIdentity identity) => Digest(
        ["timings", identity.TensorRtVersion, identity.GpuName, identity.ComputeCapability, identity.MigProfile ?? ""]);

    /// <summary>
    /// The model's file by content; files beside it (external weights, gigabytes) by name, length and time of change: a
    /// copy of them then only misses the cache.
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

    /// <summary>Each part with its length before it, so that no two lists read the same.</summary>
    private static string Digest(IEnumerable<string> parts) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(
        string.Concat(parts.Select(p => string.Create(CultureInfo.InvariantCulture, $"{p.Length}:{p}\n"))))))[..32];
}
