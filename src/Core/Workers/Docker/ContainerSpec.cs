using System.Globalization;
using System.Text.Json.Nodes;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Workers.Docker;

/// <summary>What a pod's container is made from: the body of the Engine API's create call. Pure.</summary>
public static class ContainerSpec
{
    /// <summary>Where the built-in worker finds its models.</summary>
    private const string ModelsInside = "/models";

    private const string CacheInside = "/cache";

    /// <summary>Of a container's log, kept by the daemon: what a pod says is read as it comes.</summary>
    private const string LogSize = "10m";

    /// <summary>The image of an order: the template's, or the built-in worker's.</summary>
    public static string Image(PodOrder order, DockerSettings settings) => order.Deployment.Template.Image is { Length: > 0 } image ? image
        : order.Devices is { Count: > 0 } ? settings.WorkerGpuImage : settings.WorkerImage;

    /// <summary>Name of its container: an order that is repeated finds the first one's.</summary>
    public static string Name(string podId) => $"sluice-{podId}";

    /// <summary>The create call's body.</summary>
    /// <exception cref="InvalidOperationException">The template wants what these settings forbid.</exception>
    public static JsonObject Make(PodOrder order, DockerSettings settings, string hostId, string token)
    {
        var (template, needs) = (order.Deployment.Template, order.Deployment.Template.Container);
        var port = needs.Port.ToString(CultureInfo.InvariantCulture);
        var body = new JsonObject
        {
            ["Image"] = Image(order, settings),
            ["User"] = needs.User,
            ["Env"] = Strings(Environment(order, settings, token).Select(e => $"{e.Key}={e.Value}")),
            ["Labels"] = PodLabels.Write(order, hostId),
            ["ExposedPorts"] = new JsonObject { [$"{port}/tcp"] = new JsonObject() },
            ["HostConfig"] = HostConfig(order, settings, port),
        };
        // As Kubernetes has it: a command replaces the image's entrypoint and its arguments, args alone only these.
        if (template.Command.Count > 0) body["Entrypoint"] = Filled(template.Command, port);
        if (template.Args.Count > 0) body["Cmd"] = Filled(template.Args, port);
        return body;
    }

    /// <summary>Puts memory of a size where the image has a volume and nothing is mounted: the daemon's own would be disk without a limit, in a pod
    /// that is to write nothing.</summary>
    public static void Cover(JsonObject body, IReadOnlyList<string> volumes, long size)
    {
        var mounts = body["HostConfig"]!["Mounts"]!.AsArray();
        var taken = mounts.Select(m => Folder((string)m!["Target"]!)).Append("/tmp").ToHashSet();
        foreach (var volume in volumes.Where(v => taken.Add(Folder(v))))
            mounts.Add(new JsonObject
            {
                ["Type"] = "tmpfs",
                ["Target"] = volume,
                ["TmpfsOptions"] = new JsonObject { ["SizeBytes"] = size, ["Mode"] = Convert.ToInt32("1777", 8) },
            });
    }

    private static JsonObject HostConfig(PodOrder order, DockerSettings settings, string port)
    {
        var needs = order.Deployment.Template.Container;
        var config = new JsonObject
        {
            ["NetworkMode"] = settings.Network,
            // A first process that passes signals on and buries orphans: as the first, most programs would ignore SIGTERM.
            ["Init"] = true,
            ["ReadonlyRootfs"] = needs.ReadOnly,
            ["CapDrop"] = new JsonArray("ALL"),
            ["SecurityOpt"] = new JsonArray("no-new-privileges"),
            ["PidsLimit"] = needs.Pids,
            ["ShmSize"] = needs.ShmSize,
            ["Tmpfs"] = new JsonObject { ["/tmp"] = $"rw,exec,nosuid,nodev,mode=1777,size={needs.TmpSize}" },
            ["Mounts"] = Mounts(order, settings),
            ["RestartPolicy"] = new JsonObject { ["Name"] = "no" },
            ["LogConfig"] = new JsonObject { ["Type"] = "json-file", ["Config"] = new JsonObject { ["max-size"] = LogSize, ["max-file"] = "1" } },
        };
        // The same bound with swap: a pod that swaps is one that hangs.
        if (needs.Memory > 0) (config["Memory"], config["MemorySwap"]) = (needs.Memory, needs.Memory);
        if (needs.Cpus > 0) config["NanoCpus"] = (long)Math.Round(needs.Cpus * 1e9);
        if (settings.Publish)
            config["PortBindings"] = new JsonObject { [$"{port}/tcp"] = new JsonArray(new JsonObject { ["HostIp"] = "127.0.0.1", ["HostPort"] = "" }) };
        if (order.Devices is { Count: > 0 } devices)
            config["DeviceRequests"] = new JsonArray(new JsonObject
            {
                ["Driver"] = "nvidia",
                ["DeviceIDs"] = Strings(devices),
                ["Capabilities"] = new JsonArray(new JsonArray("gpu")),
            });
        return config;
    }

    private static Dictionary<string, string> Environment(PodOrder order, DockerSettings settings, string token)
    {
        // Images of CUDA say "all" here, which counts where NVIDIA's runtime is the daemon's default: a pod gets its devices, or none.
        var placed = order with { Devices = order.Devices ?? [] };
        var env = new Dictionary<string, string>
        {
            ["SLUICE_BIND"] = "0.0.0.0",
            // A user without a home, on files that cannot be changed.
            ["HOME"] = "/tmp",
            // Without a place that outlives the pod there is no use for copies.
            ["SLUICE_MODEL_CACHE"] = HasCache(order.Deployment.Template, settings) ? CacheInside + "/models" : "",
        };
        if (HasCache(order.Deployment.Template, settings)) env["SLUICE_TENSORRT_CACHE"] = CacheInside + "/tensorrt";
        foreach (var (name, value) in PodEnvironment.Make(placed, ModelsInside, order.Deployment.Template.Container.Port, token)) env[name] = value;
        return env;
    }

    /// <summary>What one pod writes there others run: it is the built-in worker's alone.</summary>
    private static bool HasCache(Template template, DockerSettings settings) => settings.Cache.Length > 0 && template.IsBuiltIn;

    private static JsonArray Mounts(PodOrder order, DockerSettings settings)
    {
        var mounts = new JsonArray();
        var template = order.Deployment.Template;
        mounts.Add(Mount(settings.Models, ModelsInside, readOnly: true));
        if (HasCache(template, settings)) mounts.Add(Mount(settings.Cache, CacheInside, readOnly: false));
        for (var i = 0; i < template.Container.Mounts.Count; i++)
        {
            var mount = template.Container.Mounts[i];
            if (!settings.Mountable.Any(m => Folder(m) == Folder(mount.Source)))
            {
                var allowed = settings.Mountable.Count == 0 ? "no mounts: SLUICE_DOCKER_MOUNTS allows none"
                    : $"a folder or volume that SLUICE_DOCKER_MOUNTS allows: {string.Join(", ", settings.Mountable)}";
                throw new InvalidOperationException($"container.mounts[{i}].source of template {template.Name} is {mount.Source}, expected {allowed}");
            }

            mounts.Add(Mount(mount.Source, mount.Target, mount.ReadOnly));
        }

        return mounts;
    }

    /// <summary>A folder as it is compared. Only those that are listed count, and nothing in them: a pod that may write there could put a link in its
    /// place, which the daemon would follow on its own machine.</summary>
    private static string Folder(string source) => source.StartsWith('/') ? source.TrimEnd('/') : source;

    private static JsonObject Mount(string source, string target, bool readOnly) => new()
    {
        ["Type"] = source.StartsWith('/') ? "bind" : "volume",
        ["Source"] = source,
        ["Target"] = target,
        ["ReadOnly"] = readOnly,
    };

    private static JsonArray Filled(IEnumerable<string> words, string port) => Strings(words.Select(w => w.Replace("{port}", port, StringComparison.Ordinal)));

    private static JsonArray Strings(IEnumerable<string> all) => [.. all.Select(s => (JsonNode)s)];
}
