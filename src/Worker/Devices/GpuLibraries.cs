using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace Sluice.Worker.Devices;

/// <summary>An NVIDIA library that a provider is linked to.</summary>
/// <param name="File">SONAME of the library, for example <c>libcudart.so.13</c>.</param>
/// <param name="Of">Name of its product, for operators: CUDA runtime, cuDNN and others.</param>
/// <param name="Optional">True if only some operators need the library.</param>
public sealed record GpuLibrary(string File, string Of, bool Optional = false);

/// <summary>Result of loading one library.</summary>
/// <param name="Library">The library.</param>
/// <param name="Path">Path from which it was loaded. Null if it was not loaded.</param>
/// <param name="Error">Why it was not loaded: the loader's message for each path.</param>
public sealed record LibraryLoad(GpuLibrary Library, string? Path, string? Error);

/// <summary>
/// Loads NVIDIA's libraries by absolute path, each before the libraries that need it. A loaded library satisfies
/// every later NEEDED entry of its SONAME, so the providers find it without LD_LIBRARY_PATH. The list contains the
/// libraries to which the CUDA 13 and TensorRT 10 providers of ONNX Runtime 1.31 are linked (readelf -d), and the
/// parts that cuDNN 9 opens.
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

    /// <summary>Returns the libraries of a provider in loading order. Empty if it needs none.</summary>
    public static IReadOnlyList<GpuLibrary> For(string provider) => provider switch
    {
        "cuda" => CudaSet,
        "tensorrt" => TensorRtSet,
        _ => [],
    };

    /// <summary>
    /// Returns the existing folders in search order: the configured ones, CUDA (newest first), the distribution, pip
    /// and TensorRT.
    /// </summary>
    public static IReadOnlyList<string> Folders(IReadOnlyList<string> configured) =>
    [
        .. configured,
        .. Matching("/usr/local", "cuda*").SelectMany(c => Below(c, "lib64", "targets/x86_64-linux/lib")),
        "/usr/lib/x86_64-linux-gnu", "/usr/lib64",
        .. Pip().SelectMany(p => new[] { Path.Combine(p, "tensorrt_libs") }.Concat(
            Matching(Path.Combine(p, "nvidia"), "*").Select(n => Path.Combine(n, "lib")))),
        .. Matching("/opt", "[tT]ensor[rR][tT]*")
            .Concat(Matching("/usr/local", "[tT]ensor[rR][tT]*"))
            .Select(t => Path.Combine(t, "lib")),
    ];

    /// <summary>
    /// Loads a list of libraries. Continues after a failure, so that the result contains all missing libraries.
    /// </summary>
    public static IReadOnlyList<LibraryLoad> Load(IEnumerable<GpuLibrary> libraries, IReadOnlyList<string> folders) =>
        [.. libraries.Select(l => Load(l, folders))];

    /// <summary>
    /// Loads one library: from the first folder that contains it, and last by name from the loader's own path.
    /// </summary>
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
                // If a file exists in a folder, an additional "not on the loader's path" error is not useful.
                if (path != library.File || files.Count == 0) errors.Add(Reason(e.Message));
            }
        }

        return new LibraryLoad(library, null, string.Join("; ", errors.Distinct()));
    }

    /// <summary>
    /// Returns the major versions of a library in the folders, for example 11 for <c>libnvinfer.so.11</c>.
    /// </summary>
    public static IReadOnlyList<int> MajorVersions(string stem, IReadOnlyList<string> folders) =>
    [
        .. folders.Where(Directory.Exists)
            .SelectMany(f => Directory.EnumerateFiles(f, stem + ".so.*"))
            .Select(f => Major().Match(f[f.LastIndexOf(".so.", StringComparison.Ordinal)..]))
            .Where(m => m.Success)
            .Select(m => int.Parse(m.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture))
            .Distinct()
            .Order(),
    ];

    private static GpuLibrary[] Cudnn(bool optional) => [.. new[]
    {
        "_graph", "_ops", "_cnn", "_adv", "_engines_precompiled", "_engines_runtime_compiled", "_heuristic", "",
    }.Select(part => new GpuLibrary($"libcudnn{part}.so.9", "cuDNN", optional || part.Length > 0))];

    /// <summary>Extracts the loader's message from .NET's message, which lists every path that was tried.</summary>
    private static string Reason(string message) =>
        Loader().Match(message) is { Success: true } match ? match.Value : message.Split('\n')[0];

    private static IEnumerable<string> Pip() => new[] { "/usr/lib", "/usr/local/lib", "/opt/venv/lib", "/venv/lib" }
        .SelectMany(l => Matching(l, "python3*")).SelectMany(p => Below(p, "site-packages", "dist-packages"));

    private static IEnumerable<string> Below(string parent, params string[] names) =>
        names.Select(n => Path.Combine(parent, n));

    /// <summary>
    /// Returns folders by a pattern that can contain [xX], the highest version first: <c>cuda-13.2</c> before
    /// <c>cuda-9.2</c>.
    /// </summary>
    internal static IEnumerable<string> Matching(string parent, string pattern)
    {
        if (!Directory.Exists(parent)) return [];
        var regex = "^" + pattern.Replace("*", ".*", StringComparison.Ordinal) + "\\z";
        return Directory.EnumerateDirectories(parent)
            .Where(d => Regex.IsMatch(Path.GetFileName(d), regex))
            .OrderByDescending(d => Number().Replace(d, n => n.Value.PadLeft(8, '0')), StringComparer.Ordinal);
    }

    [GeneratedRegex(@"\d+")]
    private static partial Regex Number();

    [GeneratedRegex(@"^\.so\.(\d+)")]
    private static partial Regex Major();

    [GeneratedRegex(@"lib[\w.+-]+: (cannot open shared object file[^\n]*|undefined symbol: [^\n]*|"
        + @"[^\n]*(version|ELF|file too short)[^\n]*)")]
    private static partial Regex Loader();
}
