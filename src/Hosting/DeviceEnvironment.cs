using System.Globalization;
using Sluice.Domain.Declarations;
using Sluice.Domain.Gpus;

namespace Sluice.Hosting;

/// <summary>
/// Decides which pods are restricted to assigned devices, and sets the environment variables that list them. Pure.
/// </summary>
public static class DeviceEnvironment
{
    private const string Visible = "CUDA_VISIBLE_DEVICES";
    private const string Providers = "SLUICE_EXECUTION_PROVIDERS";
    private const string CudaOptions = "SLUICE_CUDA_OPTIONS";

    /// <summary>
    /// Whether a pod is restricted to exactly the devices that are assigned to it, which may be none. If any
    /// declaration requests GPUs, the GPUs of the machine are assigned. A pod without a GPU request then gets none,
    /// unless its environment selects the visible devices. If no declaration requests GPUs, a pod sees the devices that
    /// the gateway sees.
    /// </summary>
    /// <param name="deployment">The pod's declaration.</param>
    /// <param name="declared">All declarations.</param>
    public static bool Decides(Deployment deployment, IEnumerable<Deployment> declared)
    {
        if (deployment.Template.Gpu is not null) return true;
        return !deployment.Template.Env.ContainsKey(Visible) && !deployment.Endpoint.Env.ContainsKey(Visible)
            && declared.Any(d => d.Template.Gpu is not null);
    }

    /// <summary>Sets the device variables of a pod whose devices are assigned.</summary>
    /// <param name="env">The pod's environment; it already contains the variables of the declaration.</param>
    /// <param name="order">The order, with the devices.</param>
    public static void Set(IDictionary<string, string> env, PodSpec order)
    {
        if (order.Devices is not { } devices) return;
        // CUDA ignores the rest of its list after an index that does not exist. "void" makes the NVIDIA runtime leave
        // the container unchanged.
        env[Visible] = devices.Count > 0 ? string.Join(',', devices) : "-1";
        env["NVIDIA_VISIBLE_DEVICES"] = devices.Count > 0 ? string.Join(',', devices) : "void";
        if (order.Deployment.Template.Gpu is null) return;

        // A built-in worker with a GPU uses it unless the declaration selects other providers. It does not fall back to
        // the CPU silently.
        var builtIn = order.Deployment.Template.IsBuiltIn;
        if (builtIn) env[DeviceReport.Variable] = "1";
        if (builtIn && !env.ContainsKey(Providers)) env[Providers] = "cuda";
        if (order.ShareMiB is not { } share) return;
        env["SLUICE_GPU_MEMORY_MIB"] = share.ToString(CultureInfo.InvariantCulture);
        // Limits ONNX Runtime's memory arena to the pod's share; the option is in bytes.
        if (builtIn && !env.ContainsKey(CudaOptions))
            env[CudaOptions] = string.Create(CultureInfo.InvariantCulture, $"gpu_mem_limit={share << 20}");
    }
}
