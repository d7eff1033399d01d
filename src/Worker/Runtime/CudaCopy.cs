using System.Runtime.InteropServices;
using Sluice.Worker.Devices;

namespace Sluice.Worker.Runtime;

/// <summary>
/// Copies with the CUDA runtime that ONNX Runtime's provider has already loaded, because ONNX Runtime has no function
/// that copies into a tensor. The functions are those of cuda_runtime_api.h. ONNX Runtime waits for its stream at the
/// end of a run, so a copy sees the data that the run wrote.
/// </summary>
internal sealed unsafe class CudaCopy : DeviceCopy
{
    private const int HostToDevice = 1, DeviceToHost = 2;

    private readonly delegate* unmanaged[Cdecl]<int, int> setDevice;
    private readonly delegate* unmanaged[Cdecl]<nint, nint, nuint, int, int> memcpy;
    private readonly int device;

    /// <summary>Loads the functions.</summary>
    /// <param name="library">libcudart.</param>
    /// <param name="folders">Folders that are searched for the library.</param>
    /// <param name="device">CUDA's number of the device.</param>
    /// <exception cref="NotSupportedException">The library cannot be loaded.</exception>
    public CudaCopy(GpuLibrary library, IReadOnlyList<string> folders, int device)
    {
        this.device = device;
        var load = GpuLibraries.Load(library, folders);
        if (load.Path is null) throw new NotSupportedException($"{library.File}: {load.Error}");
        var handle = NativeLibrary.Load(load.Path);
        setDevice = (delegate* unmanaged[Cdecl]<int, int>)Function(handle, "cudaSetDevice", load.Path);
        memcpy = (delegate* unmanaged[Cdecl]<nint, nint, nuint, int, int>)Function(handle, "cudaMemcpy", load.Path);
    }

    public override void ToDevice(nint device, nint host, long bytes) => Copy(device, host, bytes, HostToDevice);

    public override void ToHost(nint host, nint device, long bytes) => Copy(host, device, bytes, DeviceToHost);

    private void Copy(nint to, nint from, long bytes, int direction)
    {
        // CUDA selects the device per thread. The default is the first device.
        Check(setDevice(device), "cudaSetDevice");
        Check(memcpy(to, from, (nuint)bytes, direction), "cudaMemcpy");
    }

    private static void Check(int error, string function)
    {
        if (error != 0) throw new InvalidOperationException($"CUDA failure {error} of {function}");
    }

    private static nint Function(nint library, string name, string path) =>
        NativeLibrary.TryGetExport(library, name, out var at)
            ? at
            : throw new NotSupportedException($"{path} does not export function {name}");
}
