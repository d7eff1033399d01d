using System.Globalization;

namespace Sluice.Core.Workers;

/// <summary>The variables that a pod gets on every host. Pure; nothing of the gateway's own is among them.</summary>
internal static class PodEnvironment
{
    /// <summary>Those that are a pod's own. All others are the same for every pod of a declaration, and often for those of several.</summary>
    public static readonly IReadOnlySet<string> OfOnePod = new HashSet<string>
    {
        "SLUICE_MODEL_REPOSITORY", "SLUICE_MODELS", "SLUICE_MAX_BODY_BYTES", "SLUICE_POD_ID", "SLUICE_POD_TOKEN", "SLUICE_PORT", "PORT",
        "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES",
    };

    /// <summary>The pod's variables by name.</summary>
    /// <param name="order">What is started.</param>
    /// <param name="modelRepository">Where the pod finds its models.</param>
    /// <param name="port">Where it is to listen.</param>
    /// <param name="token">What it is to demand of every request.</param>
    public static Dictionary<string, string> Make(PodOrder order, string modelRepository, int port, string token)
    {
        var (template, endpoint) = (order.Deployment.Template, order.Deployment.Endpoint);
        var env = new Dictionary<string, string>
        {
            ["SLUICE_MODEL_REPOSITORY"] = modelRepository,
            ["SLUICE_MODELS"] = string.Join(',', endpoint.ServedModels),
            ["SLUICE_MAX_BODY_BYTES"] = endpoint.Forwarding.MaxBodyBytes.ToString(CultureInfo.InvariantCulture),
        };
        foreach (var (name, value) in template.Env) env[name] = value;
        foreach (var (name, value) in endpoint.Env) env[name] = value;
        // A worker whose models are loaded by requests starts with those that are declared; its endpoint's id is no model then.
        if (env.GetValueOrDefault("SLUICE_MODEL_CONTROL") == "explicit" && endpoint.Models.Count == 0 && env["SLUICE_MODELS"] == endpoint.Id)
            env.Remove("SLUICE_MODELS");
        env["SLUICE_POD_ID"] = order.PodId;
        env["SLUICE_POD_TOKEN"] = token;
        env["SLUICE_PORT"] = env["PORT"] = port.ToString(CultureInfo.InvariantCulture);
        DeviceEnvironment.Set(env, order);
        return env;
    }
}
