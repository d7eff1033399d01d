using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Runtime;

/// <summary>
/// Allocators for the tensors of one session: host memory that the device can read directly (pinned), and device
/// memory. Dispose it after the tensors that were allocated from it, and before the session.
/// </summary>
internal sealed class SessionMemory : IDisposable
{
    private readonly OrtAllocator? pinned;

    private SessionMemory(OrtAllocator? pinned, OrtAllocator? device, string lacks)
    {
        this.pinned = pinned;
        Device = device;
        Lacks = lacks;
    }

    /// <summary>
    /// Allocator for tensors that the host reads and writes. Pinned if the provider has pinned memory.
    /// </summary>
    public OrtAllocator Host => pinned ?? OrtAllocator.DefaultInstance;

    public bool Pinned => pinned is not null;

    /// <summary>Allocator of device memory. Null on the CPU, or if the provider has none.</summary>
    public OrtAllocator? Device { get; }

    /// <summary>Memory that the provider did not provide, with its errors. Empty if all is available.</summary>
    public string Lacks { get; }

    /// <summary>Opens the allocators of a session.</summary>
    /// <param name="session">The session.</param>
    /// <param name="provider">The first provider of the session.</param>
    /// <param name="device">The provider's option <c>device_id</c>.</param>
    public static SessionMemory Create(ModelSession session, string provider, int device)
    {
        var lacks = new List<string>();
        var (onDevice, pinned) = Names(provider);
        return new SessionMemory(
            Open(pinned, OrtMemType.CpuOutput),
            Open(onDevice, OrtMemType.Default),
            string.Join("; ", lacks));

        OrtAllocator? Open(string? name, OrtMemType type)
        {
            if (name is null) return null;
            try
            {
                using var info = new OrtMemoryInfo(name, OrtAllocatorType.DeviceAllocator, device, type);
                return session.NewAllocator(info);
            }
            catch (OnnxRuntimeException e)
            {
                lacks.Add($"no {name} memory ({e.Message})");
                return null;
            }
        }
    }

    /// <summary>
    /// Returns ONNX Runtime's names of a provider's memory (include/onnxruntime/core/framework/allocator.h; for
    /// WebGPU, the name that its allocator reports).
    /// </summary>
    public static (string? Device, string? Pinned) Names(string provider) => provider switch
    {
        "cuda" or "tensorrt" => ("Cuda", "CudaPinned"),
        "webgpu" => ("WebGPU_Buffer", null),
        _ => (null, null),
    };

    public void Dispose()
    {
        pinned?.Dispose();
        Device?.Dispose();
    }
}
