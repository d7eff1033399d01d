using System.Globalization;
using System.Runtime.InteropServices;

namespace Sluice.Worker.Devices;

/// <summary>
/// Reads the versions of loaded NVIDIA libraries. The functions' signatures are those of cuda.h, cuda_runtime_api.h,
/// cublasLt.h, cudnn_version.h, NvInferRuntimeBase.h and nccl.h. None of them accesses a GPU.
/// </summary>
internal static unsafe class NativeVersions
{
    /// <summary>Returns the version that a library reports, or null if it reports none.</summary>
    public static string? Read(string name, nint library) => name switch
    {
        "libcuda" => Filled(library, "cuDriverGetVersion") is { } v ? Cuda(v) : null,
        "CUDA runtime" => Filled(library, "cudaRuntimeGetVersion") is { } v ? Cuda(v) : null,
        "cuBLAS" => Returned(library, "cublasLtGetVersion") is { } v ? Dotted(v, 10000) : null,
        "cuDNN" => Returned(library, "cudnnGetVersion") is { } v ? Dotted(v, v >= 90000 ? 10000 : 1000) : null,
        "TensorRT" => Returned32(library, "getInferLibVersion") is { } v ? Dotted(v, v >= 100000 ? 10000 : 1000) : null,
        "NCCL" => Filled(library, "ncclGetVersion") is { } v ? Dotted(v, v >= 10000 ? 10000 : 1000) : null,
        _ => null,
    };

    /// <summary>
    /// Formats a CUDA version, which is 1000 times the major plus 10 times the minor version: 13020 is 13.2.
    /// </summary>
    public static string Cuda(int version) =>
        string.Create(CultureInfo.InvariantCulture, $"{version / 1000}.{version % 1000 / 10}");

    /// <summary>
    /// Formats another version, which is <paramref name="major"/> times the major plus 100 times the minor version:
    /// 91704 is 9.17.4.
    /// </summary>
    public static string Dotted(long version, int major) =>
        string.Create(CultureInfo.InvariantCulture, $"{version / major}.{version % major / 100}.{version % 100}");

    private static int? Filled(nint library, string function)
    {
        var version = 0;
        return NativeLibrary.TryGetExport(library, function, out var at)
            && ((delegate* unmanaged[Cdecl]<int*, int>)at)(&version) == 0
            ? version : null;
    }

    private static long? Returned(nint library, string function) =>
        NativeLibrary.TryGetExport(library, function, out var at)
            ? (long)((delegate* unmanaged[Cdecl]<nuint>)at)()
            : null;

    private static long? Returned32(nint library, string function) =>
        NativeLibrary.TryGetExport(library, function, out var at) ? ((delegate* unmanaged[Cdecl]<int>)at)() : null;
}
