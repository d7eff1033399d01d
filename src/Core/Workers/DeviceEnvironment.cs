using System.Globalization;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Workers;

/// <summary>How a pod learns of its devices. Pure.</summary>
internal static class DeviceEnvironment
{
    private const string Providers = "SLUICE_EXECUTION_PROVIDERS";
    private const string CudaOptions = "SLUICE_CUDA_OPTIONS";

    /// <summary>Sets the variables of a pod that was placed.</summary>
    /// <param name="env">The pod's variables; what its declaration says is there already.</param>
    /// <param name="template">Its template.</param>
    /// <param name="devices">UUIDs of its GPUs or slices; empty: it gets none.</param>
    /// <param name="shareMiB">Its part of its device's memory; null: all.</param>
    public static void Set(IDictionary<string, string?> env, Template template, IReadOnlyList<string> devices, long? shareMiB)
    {
        // CUDA ends its list at an index that there is not; "void" is the NVIDIA runtime's word for: leave this container alone.
        env["CUDA_VISIBLE_DEVICES"] = devices.Count > 0 ? string.Join(',', devices) : "-1";
        env["NVIDIA_VISIBLE_DEVICES"] = devices.Count > 0 ? string.Join(',', devices) : "void";
        if (devices.Count == 0) return;

        // The built-in worker with a GPU runs on it, unless it is told otherwise: no silent CPU.
        var builtIn = template.Command.Count == 0;
        if (builtIn && !env.ContainsKey(Providers)) env[Providers] = "cuda";
        if (shareMiB is not { } share) return;
        env["SLUICE_GPU_MEMORY_MIB"] = share.ToString(CultureInfo.InvariantCulture);
        // ONNX Runtime's arena keeps within its part; its option is in bytes.
        if (builtIn && !env.ContainsKey(CudaOptions)) env[CudaOptions] = string.Create(CultureInfo.InvariantCulture, $"gpu_mem_limit={share << 20}");
    }
}
