using System.Globalization;
using Sluice.Domain.Declarations;
using Sluice.Domain.UserPods;

namespace Sluice.Hosting.UserPods;

/// <summary>
/// Builds the environment variables of a pod on every host. Pure. The names that begin with <c>RUNPOD_</c> are those
/// that images for RunPod read.
/// </summary>
public static class UserPodEnvironment
{
    /// <summary>
    /// Names of the variables that contain the token of Jupyter: its own, and that of RunPod's images.
    /// </summary>
    private static readonly string[] TokenNames = ["JUPYTER_TOKEN", "JUPYTER_PASSWORD"];

    /// <summary>Returns the variables by name.</summary>
    public static Dictionary<string, string> Build(UserPodStart start)
    {
        var (pod, devices) = (start.Pod, start.State.Devices);
        var env = new Dictionary<string, string>(pod.Spec.Env)
        {
            ["SLUICE_USER_POD_ID"] = pod.Id,
            ["RUNPOD_POD_ID"] = pod.Id,
            ["RUNPOD_GPU_COUNT"] = devices.Count.ToString(CultureInfo.InvariantCulture),
        };
        if (pod.Spec.FirstHttpPort is { } port) env["PORT"] = port.ToString(CultureInfo.InvariantCulture);
        if (pod.Spec.Application == PodApplication.Jupyter)
            foreach (var name in TokenNames) env[name] = TokenOf(pod);
        // An explicit list restricts a pod to its own devices, or to none.
        env["CUDA_VISIBLE_DEVICES"] = devices.Count > 0 ? string.Join(',', devices) : "-1";
        env["NVIDIA_VISIBLE_DEVICES"] = devices.Count > 0 ? string.Join(',', devices) : "void";
        if (start.State.ShareMiB is { } share)
            env["SLUICE_GPU_MEMORY_MIB"] = share.ToString(CultureInfo.InvariantCulture);
        return env;
    }

    /// <summary>
    /// Returns the token that Jupyter requires in a pod: the one that its user set, or the generated one.
    /// </summary>
    public static string TokenOf(UserPod pod) =>
        TokenNames.Select(n => pod.Spec.Env.GetValueOrDefault(n)).FirstOrDefault(t => t is { Length: > 0 })
        ?? pod.Secret;
}
