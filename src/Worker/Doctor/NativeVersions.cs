using System.Globalization;
using System.Runtime.InteropServices;

namespace Sluice.Worker.Doctor;

/// <summary>
/// Asks loaded NVIDIA libraries for their versions. The functions' signatures are those of cuda.h, cuda_runtime_api.h,
/// cublasLt.h, cudnn_version.h, NvInferRuntimeBase.h and nccl.h; none of them touches a GPU.
/// </summary>
internal static unsafe class NativeVersions
{
    /// <summary>The version that a library says it is, or null when it will not say.</summary>
    public static string? Of(string name, nint library) => name switch
    {
        "libcuda" => Filled(library, "cuDriverGetVersion") is { } v ? Cuda(v) : null,
        "CUDA runtime" => Filled(library, "cudaRuntimeGetVersion") is { } v ? Cuda(v) : null,
        "cuBLAS" => Returned(library, "cublasLtGetVersion") is { } v ? Dotted(v, 10000) : null,
        "cuDNN" => Returned(library, "cudnnGetVersion") is { } v ? Dotted(v, v >= 90000 ? 10000 : 1000) : null,
        "TensorRT" => Returned32(library, "getInferLibVersion") is { } v ? Dotted(v, v >= 100000 ? 10000 : 1000) : null,
        "NCCL" => Filled(library, "ncclGetVersion") is { } v ? Dotted(v, v >= 10000 ? 10000 : 1000) : null,
        _ => null,
    };

    /// <summary>CUDA counts 1000 a major and 10 a minor version: 13020 is 13.2.</summary>
    public static string Cuda(int version) => string.Create(CultureInfo.InvariantCulture, $"{version / 1000}.{version % 1000 / 10}");

    /// <summary>The others count <paramref name="major"/> a major and 100 a minor version: 91704 is 9.17.4.</summary>
    public static string Dotted(long version, int major) =>
        string.Create(CultureInfo.InvariantCulture, $"{version / major}.{version % major / 100}.{version % 100}");

    private static int? Filled(nint library, string function)
    {
        var version = 0;
        return NativeLibrary.TryGetExport(library, function, out var at) && ((delegate* unmanaged[Cdecl]<int*, int>)at)(&version) == 0
            ? version : null;
    }

    private static long? Returned(nint library, string function) =>
        NativeLibrary.TryGetExport(library, function, out var at) ? (long)((delegate* unmanaged[Cdecl]<nuint>)at)() : null;

    private static long? Returned32(nint library, string function) =>
        NativeLibrary.TryGetExport(library, function, out var at) ? ((delegate* unmanaged[Cdecl]<int>)at)() : null;
}
