using System.Globalization;

namespace Sluice.Hosting;

/// <summary>
/// Builds the environment variables that a pod gets on every host. Pure; the result contains none of the gateway's own
/// variables.
/// </summary>
public static class PodEnvironment
{
    /// <summary>
    /// Variables whose values differ from pod to pod. All others are the same for every pod of a declaration, and often
    /// for the pods of several declarations.
    /// </summary>
    public static readonly IReadOnlySet<string> OfOnePod = new HashSet<string>
    {
        "SLUICE_MODEL_REPOSITORY", "SLUICE_MODEL_PATH", "SLUICE_MODELS", "SLUICE_MAX_BODY_BYTES",
        "SLUICE_POD_ID", "SLUICE_POD_TOKEN", "SLUICE_PORT", "PORT",
        "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES",
    };

    /// <summary>
    /// Lets the built-in worker allocate the weights of models in huge pages, where the kernel offers them (ADR 138).
    /// glibc reads it before the program starts (glibc manual, "Memory Allocation Tunables").
    /// </summary>
    private static readonly KeyValuePair<string, string> HugePages = new("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");

    /// <summary>Returns the pod's variables by name.</summary>
    /// <param name="order">The order of the pod.</param>
    /// <param name="modelRepository">Path of the model repository as the pod sees it.</param>
    /// <param name="port">The port that the pod listens on.</param>
    /// <param name="token">The token that the pod requires in every request.</param>
    /// <param name="modelPath">Folder of the delivered model as the pod sees it; null: none is delivered.</param>
    public static Dictionary<string, string> Build(
        PodSpec order, string modelRepository, int port, string token, string? modelPath = null)
    {
        var (template, endpoint) = (order.Deployment.Template, order.Deployment.Endpoint);
        var env = new Dictionary<string, string>
        {
            ["SLUICE_MODEL_REPOSITORY"] = modelRepository,
            ["SLUICE_MODELS"] = string.Join(',', endpoint.ServedModels),
            ["SLUICE_MAX_BODY_BYTES"] = endpoint.Forwarding.MaxBodyBytes.ToString(CultureInfo.InvariantCulture),
        };
        if (template.IsBuiltIn) env[HugePages.Key] = HugePages.Value;
        foreach (var (name, value) in template.Env) env[name] = value;
        foreach (var (name, value) in endpoint.Env) env[name] = value;
        // A declared source takes precedence over a repository in the environment of the template.
        if (modelPath is not null)
            (env["SLUICE_MODEL_PATH"], env["SLUICE_MODEL_REPOSITORY"]) = (modelPath, modelRepository);
        // A worker with explicit model control starts with the declared models only. Without any, the endpoint's id is
        // not the name of a model.
        if (env.GetValueOrDefault("SLUICE_MODEL_CONTROL") == "explicit" && endpoint.Models.Count == 0
            && env["SLUICE_MODELS"] == endpoint.Id)
            env.Remove("SLUICE_MODELS");
        env["SLUICE_POD_ID"] = order.PodId;
        env["SLUICE_POD_TOKEN"] = token;
        env["SLUICE_PORT"] = env["PORT"] = port.ToString(CultureInfo.InvariantCulture);
        DeviceEnvironment.Set(env, order);
        return env;
    }
}
