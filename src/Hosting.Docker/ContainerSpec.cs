using System.Globalization;
using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;

namespace Sluice.Hosting.Docker;

/// <summary>Builds the body of the Engine API's create call for a pod. Pure.</summary>
public static class ContainerSpec
{
    /// <summary>Path of the model repository inside the container.</summary>
    private const string ModelsInside = "/models";

    private const string CacheInside = "/cache";

    /// <summary>
    /// Size limit of the log that the daemon keeps of a container. Sluice reads the output while the worker writes it.
    /// </summary>
    private const string LogSize = "10m";

    /// <summary>Returns the image of an order: the template's, or else the built-in worker's.</summary>
    public static string Image(PodSpec order, DockerSettings settings)
    {
        if (order.Deployment.Template.Image is { Length: > 0 } image) return image;
        return order.Devices is { Count: > 0 } ? settings.WorkerGpuImage : settings.WorkerImage;
    }

    /// <summary>
    /// Returns the name of the pod's container. The name is fixed, so a repeated order finds the container of the first
    /// one.
    /// </summary>
    public static string Name(string podId) => $"sluice-{podId}";

    /// <summary>Builds the create call's body.</summary>
    /// <param name="order">The order of the pod.</param>
    /// <param name="settings">The settings of the host.</param>
    /// <param name="hostId">The id of the host.</param>
    /// <param name="token">The token that the pod requires in every request.</param>
    /// <param name="model">The delivered model; null: the pod has the model repository.</param>
    /// <exception cref="InvalidOperationException">
    /// The template requires something that these settings do not allow.
    /// </exception>
    public static JsonObject Build(
        PodSpec order, DockerSettings settings, string hostId, string token, ModelMount? model = null)
    {
        var (template, needs) = (order.Deployment.Template, order.Deployment.Template.Container);
        var port = needs.Port.ToString(CultureInfo.InvariantCulture);
        var body = new JsonObject
        {
            ["Image"] = Image(order, settings),
            ["User"] = needs.User,
            ["Env"] = Strings(Environment(order, settings, token, model).Select(e => $"{e.Key}={e.Value}")),
            ["Labels"] = PodLabels.Write(order, hostId),
            ["ExposedPorts"] = new JsonObject { [$"{port}/tcp"] = new JsonObject() },
            ["HostConfig"] = HostConfig(order, settings, port, model),
        };
        // Same rule as in Kubernetes: a command replaces the image's entrypoint and its arguments; args alone replace
        // only the arguments.
        if (template.Command.Count > 0) body["Entrypoint"] = Filled(template.Command, port);
        if (template.Args.Count > 0) body["Cmd"] = Filled(template.Args, port);
        return body;
    }

    /// <summary>
    /// Mounts a tmpfs of the given size at each volume that the image declares and that has no mount. Otherwise the
    /// daemon creates a volume on disk, without a size limit, in a pod whose file system is read-only.
    /// </summary>
    /// <param name="body">The create call's body, which is changed.</param>
    /// <param name="volumes">Paths of the image's volumes.</param>
    /// <param name="size">Size of each tmpfs, bytes.</param>
    public static void MountTmpfsAtVolumes(JsonObject body, IReadOnlyList<string> volumes, long size)
    {
        var mounts = body["HostConfig"]!["Mounts"]!.AsArray();
        var taken = mounts.Select(m => TrimFolder((string)m!["Target"]!)).Append("/tmp").ToHashSet();
        foreach (var volume in volumes.Where(v => taken.Add(TrimFolder(v))))
            mounts.Add(new JsonObject
            {
                ["Type"] = "tmpfs",
                ["Target"] = volume,
                ["TmpfsOptions"] = new JsonObject { ["SizeBytes"] = size, ["Mode"] = Convert.ToInt32("1777", 8) },
            });
    }

    private static JsonObject HostConfig(PodSpec order, DockerSettings settings, string port, ModelMount? model)
    {
        var needs = order.Deployment.Template.Container;
        var config = new JsonObject
        {
            ["NetworkMode"] = settings.Network,
            // Runs an init process that forwards signals and reaps orphans. Most programs ignore SIGTERM when they are
            // process 1.
            ["Init"] = true,
            ["ReadonlyRootfs"] = needs.ReadOnly,
            ["CapDrop"] = new JsonArray("ALL"),
            ["SecurityOpt"] = new JsonArray("no-new-privileges"),
            ["PidsLimit"] = needs.Pids,
            ["ShmSize"] = needs.ShmSize,
            ["Tmpfs"] = new JsonObject { ["/tmp"] = $"rw,exec,nosuid,nodev,mode=1777,size={needs.TmpSize}" },
            ["Mounts"] = Mounts(order, settings, model),
            ["RestartPolicy"] = new JsonObject { ["Name"] = "no" },
            ["LogConfig"] = new JsonObject
            {
                ["Type"] = "json-file",
                ["Config"] = new JsonObject { ["max-size"] = LogSize, ["max-file"] = "1" },
            },
        };
        // The limit includes swap: a pod that swaps is too slow to be useful.
        if (needs.Memory > 0) (config["Memory"], config["MemorySwap"]) = (needs.Memory, needs.Memory);
        if (needs.Cpus > 0) config["NanoCpus"] = (long)Math.Round(needs.Cpus * 1e9);
        if (settings.WorkerAddress is { } address)
        {
            var binding = new JsonObject { ["HostIp"] = address, ["HostPort"] = "" };
            config["PortBindings"] = new JsonObject { [$"{port}/tcp"] = new JsonArray(binding) };
        }
        if (order.Devices is { Count: > 0 } devices)
            config["DeviceRequests"] = new JsonArray(new JsonObject
            {
                ["Driver"] = "nvidia",
                ["DeviceIDs"] = Strings(devices),
                ["Capabilities"] = new JsonArray(new JsonArray("gpu")),
            });
        return config;
    }

    private static Dictionary<string, string> Environment(
        PodSpec order, DockerSettings settings, string token, ModelMount? model)
    {
        // CUDA images set NVIDIA_VISIBLE_DEVICES to "all", which takes effect where NVIDIA's runtime is the daemon's
        // default. An explicit list restricts a pod to its own devices, or to none.
        var placed = order with { Devices = order.Devices ?? [] };
        var env = new Dictionary<string, string>
        {
            ["SLUICE_BIND"] = "0.0.0.0",
            // The user has no home directory, and the root file system is read-only.
            ["HOME"] = "/tmp",
            // Without a cache that outlives the pod, optimized copies are of no use.
            ["SLUICE_MODEL_CACHE"] = HasCache(order.Deployment.Template, settings) ? CacheInside + "/models" : "",
        };
        if (HasCache(order.Deployment.Template, settings)) env["SLUICE_TENSORRT_CACHE"] = CacheInside + "/tensorrt";
        var common = PodEnvironment.Build(placed, model?.Repository ?? ModelsInside,
            order.Deployment.Template.Container.Port, token, model?.Path);
        foreach (var (name, value) in common) env[name] = value;
        if (order.Deployment.Template.IsBuiltIn)
            foreach (var (name, value) in settings.WorkerVariables) env.TryAdd(name, value);
        return env;
    }

    /// <summary>
    /// Whether the pod mounts the shared cache. Pods execute files that other pods wrote there, so only the built-in
    /// worker has access.
    /// </summary>
    private static bool HasCache(Template template, DockerSettings settings) =>
        settings.Cache.Length > 0 && template.IsBuiltIn;

    private static JsonArray Mounts(PodSpec order, DockerSettings settings, ModelMount? model)
    {
        var mounts = new JsonArray();
        var template = order.Deployment.Template;
        // A pod with a delivered model needs no other one.
        mounts.Add(model is null ? Mount(settings.Models, ModelsInside, readOnly: true)
            : Mount(model.Source, model.Target, readOnly: true));
        if (HasCache(template, settings)) mounts.Add(Mount(settings.Cache, CacheInside, readOnly: false));
        for (var i = 0; i < template.Container.Mounts.Count; i++)
        {
            var mount = template.Container.Mounts[i];
            if (!settings.IsMountable(mount.Source))
                throw new InvalidOperationException(
                    $"container.mounts[{i}].source of template {template.Name} is '{mount.Source}'; "
                    + $"expected {settings.DescribeMountable()}");
            mounts.Add(Mount(mount.Source, mount.Target, mount.ReadOnly));
        }

        return mounts;
    }

    /// <summary>Normalizes a path for comparison.</summary>
    private static string TrimFolder(string source) => source.StartsWith('/') ? source.TrimEnd('/') : source;

    /// <summary>Returns a mount of a folder (an absolute path) or a volume.</summary>
    internal static JsonObject Mount(string source, string target, bool readOnly) => new()
    {
        ["Type"] = source.StartsWith('/') ? "bind" : "volume",
        ["Source"] = source,
        ["Target"] = target,
        ["ReadOnly"] = readOnly,
    };

    private static JsonArray Filled(IEnumerable<string> words, string port) =>
        Strings(words.Select(w => w.Replace("{port}", port, StringComparison.Ordinal)));

    private static JsonArray Strings(IEnumerable<string> all) => [.. all.Select(s => (JsonNode)s)];
}
