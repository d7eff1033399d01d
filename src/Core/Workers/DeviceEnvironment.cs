using System.Globalization;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Workers;

/// <summary>Which pods are given their devices, and how they learn of them. Pure.</summary>
internal static class DeviceEnvironment
{
    private const string Visible = "CUDA_VISIBLE_DEVICES";
    private const string Providers = "SLUICE_EXECUTION_PROVIDERS";
    private const string CudaOptions = "SLUICE_CUDA_OPTIONS";

    /// <summary>Whether a pod gets exactly the devices that it is given, which may be none. Where any declaration has needs GPUs are given away, and
    /// one without gets none, unless its environment says which it sees. Else it sees what the gateway sees.</summary>
    public static bool Decides(Deployment deployment, IEnumerable<Deployment> declared) => deployment.Template.Gpu is not null
        || (!deployment.Template.Env.ContainsKey(Visible) && !deployment.Endpoint.Env.ContainsKey(Visible) && declared.Any(d => d.Template.Gpu is not null));

    /// <summary>Sets the variables of a pod whose devices are given; what its declaration says is there already.</summary>
    public static void Set(IDictionary<string, string> env, PodOrder order)
    {
        if (order.Devices is not { } devices) return;
        // CUDA ends its list at an index that there is not; "void" is the NVIDIA runtime's word for: leave this container alone.
        env[Visible] = devices.Count > 0 ? string.Join(',', devices) : "-1";
        env["NVIDIA_VISIBLE_DEVICES"] = devices.Count > 0 ? string.Join(',', devices) : "void";
        if (order.Deployment.Template.Gpu is null) return;

        // The built-in worker with a GPU runs on it, unless it is told otherwise: no silent CPU.
        var builtIn = order.Deployment.Template.IsBuiltIn;
        if (builtIn && !env.ContainsKey(Providers)) env[Providers] = "cuda";
        if (order.ShareMiB is not { } share) return;
        env["SLUICE_GPU_MEMORY_MIB"] = share.ToString(CultureInfo.InvariantCulture);
        // ONNX Runtime's arena keeps within its part; its option is in bytes.
        if (builtIn && !env.ContainsKey(CudaOptions)) env[CudaOptions] = string.Create(CultureInfo.InvariantCulture, $"gpu_mem_limit={share << 20}");
    }
}
