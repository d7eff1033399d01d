using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace Sluice.Worker.Providers;

/// <summary>One of NVIDIA's libraries that a provider is linked to.</summary>
/// <param name="File">Its SONAME, such as <c>libcudart.so.13</c>.</param>
/// <param name="Of">What it belongs to, for people: CUDA runtime, cuDNN, ...</param>
/// <param name="Optional">Missing it leaves out some operators only.</param>
public sealed record GpuLibrary(string File, string Of, bool Optional = false);

/// <summary>What became of one library.</summary>
/// <param name="Library">Which.</param>
/// <param name="Path">Where it was loaded from, or null.</param>
/// <param name="Error">Why it was not loaded: each place with the loader's own words.</param>
public sealed record LibraryLoad(GpuLibrary Library, string? Path, string? Error);

/// <summary>
/// Loads NVIDIA's libraries by absolute path, each before those that need it: a library that is loaded satisfies every
/// later NEEDED entry of its SONAME, so the providers find them without LD_LIBRARY_PATH. The list is what ONNX Runtime
/// 1.29's CUDA 13 and TensorRT 10 providers are linked to (readelf -d), cuDNN's parts as cuDNN 9 opens them.
/// </summary>
public static partial class GpuLibraries
{
    private static readonly GpuLibrary[] CudaSet =
    [
        new("libcudart.so.13", "CUDA runtime"), new("libcublasLt.so.13", "cuBLAS"), new("libcublas.so.13", "cuBLAS"),
        new("libcurand.so.10", "cuRAND"), .. Cudnn(optional: true),
    ];

    private static readonly GpuLibrary[] TensorRtSet =
    [
        .. CudaSet.Where(l => l.Of != "cuDNN"), .. Cudnn(optional: false),
        new("libnvinfer.so.10", "TensorRT"), new("libnvonnxparser.so.10", "TensorRT"),
    ];

    /// <summary>In the order in which they are to be loaded; empty for providers that need none.</summary>
    public static IReadOnlyList<GpuLibrary> For(string provider) => provider switch
    {
        "cuda" => CudaSet,
        "tensorrt" => TensorRtSet,
        _ => [],
    };

    /// <summary>Folders that exist, in the order they are searched: what was set, CUDA's newest, the distribution's, pip's, TensorRT's.</summary>
    /// <param name="set">SLUICE_CUDA_LIBRARY_PATH.</param>
    public static IReadOnlyList<string> Folders(IReadOnlyList<string> set) => [.. set,
        .. Matching("/usr/local", "cuda*").SelectMany(c => new[] { Path.Combine(c, "lib64"), Path.Combine(c, "targets/x86_64-linux/lib") }),
        "/usr/lib/x86_64-linux-gnu", "/usr/lib64",
        .. Pip().SelectMany(p => new[] { Path.Combine(p, "tensorrt_libs") }.Concat(
            Matching(Path.Combine(p, "nvidia"), "*").Select(n => Path.Combine(n, "lib")))),
        .. Matching("/opt", "[tT]ensor[rR][tT]*").Concat(Matching("/usr/local", "[tT]ensor[rR][tT]*")).Select(t => Path.Combine(t, "lib"))];

    /// <summary>Loads a list; goes on after a failure, so that one look tells all that is missing.</summary>
    public static IReadOnlyList<LibraryLoad> Load(IEnumerable<GpuLibrary> libraries, IReadOnlyList<string> folders) =>
        [.. libraries.Select(l => Load(l, folders))];

    /// <summary>Loads one: from the first folder that has it, at last by name, as the loader's own path has it.</summary>
    public static LibraryLoad Load(GpuLibrary library, IReadOnlyList<string> folders)
    {
        var errors = new List<string>();
        var files = folders.Select(f => Path.Combine(f, library.File)).Where(File.Exists).ToList();
        foreach (var path in files.Append(library.File))
        {
            try
            {
                NativeLibrary.Load(path);
                return new LibraryLoad(library, path, null);
            }
            catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
            {
                // Where a file is there, that it is not on the loader's path as well is no news.
                if (path != library.File || files.Count == 0) errors.Add(Reason(e.Message));
            }
        }

        return new LibraryLoad(library, null, string.Join("; ", errors.Distinct()));
    }

    /// <summary>Versions of a library that lie in the folders, such as 11 of <c>libnvinfer.so.11</c>.</summary>
    public static IReadOnlyList<int> MajorVersions(string stem, IReadOnlyList<string> folders) => [.. folders.Where(Directory.Exists)
        .SelectMany(f => Directory.EnumerateFiles(f, stem + ".so.*")).Select(f => Major().Match(f[f.LastIndexOf(".so.", StringComparison.Ordinal)..]))
        .Where(m => m.Success).Select(m => int.Parse(m.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture)).Distinct().Order()];

    private static GpuLibrary[] Cudnn(bool optional) => [.. new[]
    {
        "_graph", "_ops", "_cnn", "_adv", "_engines_precompiled", "_engines_runtime_compiled", "_heuristic", "",
    }.Select(part => new GpuLibrary($"libcudnn{part}.so.9", "cuDNN", optional || part.Length > 0))];

    /// <summary>The loader's own sentence out of .NET's, which lists every place that it tried.</summary>
    private static string Reason(string message) => Loader().Match(message) is { Success: true } match ? match.Value : message.Split('\n')[0];

    private static IEnumerable<string> Pip() => new[] { "/usr/lib", "/usr/local/lib", "/opt/venv/lib", "/venv/lib" }
        .SelectMany(l => Matching(l, "python3*")).SelectMany(p => new[] { Path.Combine(p, "site-packages"), Path.Combine(p, "dist-packages") });

    /// <summary>Folders by a pattern with [xX] in it, the highest name first: <c>cuda-13.2</c> before <c>cuda-12.9</c>.</summary>
    private static IEnumerable<string> Matching(string parent, string pattern)
    {
        if (!Directory.Exists(parent)) return [];
        var regex = "^" + pattern.Replace("*", ".*", StringComparison.Ordinal) + "\\z";
        return Directory.EnumerateDirectories(parent).Where(d => Regex.IsMatch(Path.GetFileName(d), regex)).OrderDescending(StringComparer.Ordinal);
    }

    [GeneratedRegex(@"^\.so\.(\d+)")]
    private static partial Regex Major();

    [GeneratedRegex(@"lib[\w.+-]+: (cannot open shared object file[^\n]*|undefined symbol: [^\n]*|[^\n]*(version|ELF|file too short)[^\n]*)")]
    private static partial Regex Loader();
}
