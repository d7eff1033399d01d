using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Runtime;

/// <summary>
/// Where the tensors of one session stand: host memory that its device can read by itself (pinned), and the device's own. To be disposed of after the
/// tensors that were allocated from it, and before the session.
/// </summary>
internal sealed class SessionMemory : IDisposable
{
    private readonly OrtAllocator? pinned;

    private SessionMemory(OrtAllocator? pinned, OrtAllocator? device, string lacks) => (this.pinned, Device, Lacks) = (pinned, device, lacks);

    /// <summary>Of what the host fills and reads: pinned where the provider has such memory.</summary>
    public OrtAllocator Host => pinned ?? OrtAllocator.DefaultInstance;

    public bool Pinned => pinned is not null;

    /// <summary>The device's; null on the CPU, or where the provider gives none.</summary>
    public OrtAllocator? Device { get; }

    /// <summary>What the provider should have and did not give, in its words; empty: nothing.</summary>
    public string Lacks { get; }

    /// <param name="session">The session.</param>
    /// <param name="provider">The first that runs it.</param>
    /// <param name="device">The provider's option <c>device_id</c>.</param>
    public static SessionMemory Of(ModelSession session, string provider, int device)
    {
        var lacks = new List<string>();
        var (onDevice, pinned) = Names(provider);
        return new SessionMemory(Open(pinned, OrtMemType.CpuOutput), Open(onDevice, OrtMemType.Default), string.Join("; ", lacks));

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

    /// <summary>ONNX Runtime's names of a provider's memory (include/onnxruntime/core/framework/allocator.h; WebGPU's as its allocator tells it).</summary>
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
