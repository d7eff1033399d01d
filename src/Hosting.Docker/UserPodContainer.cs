using System.Globalization;
using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Domain.UserPods;
using Sluice.Hosting.UserPods;

namespace Sluice.Hosting.Docker;

/// <summary>Builds the body of the Engine API's create call for a pod of a user. Pure.</summary>
public static class UserPodContainer
{
    /// <summary>
    /// The capabilities of a user who is root in the container: those that package managers, <c>su</c> and sshd need.
    /// Docker's default has five more, which open raw sockets, create devices or set file capabilities.
    /// </summary>
    private static readonly string[] Capabilities =
        ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "NET_BIND_SERVICE", "SYS_CHROOT"];

    /// <summary>Size limit of the log that the daemon keeps of a container.</summary>
    private const string LogSize = "10m";

    /// <summary>Returns the name of a pod's container and volume. It is fixed, so a repeated call finds them.</summary>
    public static string Name(string podId) => $"sluice-pod-{podId}";

    /// <summary>Builds the create call's body.</summary>
    /// <exception cref="UserPodStartException">The pod requires something that the settings do not allow.</exception>
    public static JsonObject Build(UserPodStart start, DockerSettings settings, string hostId)
    {
        var spec = UserPodPlaceholders.FillPort(start.Pod.Spec, start.Pod.Spec.FirstHttpPort ?? 0);
        var body = new JsonObject
        {
            ["Image"] = spec.Image,
            ["User"] = spec.Container.User,
            ["Hostname"] = start.Pod.Id,
            ["Env"] = Strings(UserPodEnvironment.Build(start).Select(e => $"{e.Key}={e.Value}")),
            ["Labels"] = new JsonObject(
                UserPodLabels.Write(start, hostId).Select(l => KeyValuePair.Create(l.Key, (JsonNode?)l.Value))),
            ["ExposedPorts"] = new JsonObject(
                spec.OpenPorts.Select(p => KeyValuePair.Create(Key(p), (JsonNode?)new JsonObject()))),
            ["HostConfig"] = HostConfig(start, settings),
        };
        // The same rule as for workers: a command replaces the image's entrypoint and its arguments.
        if (spec.Command.Count > 0) body["Entrypoint"] = Strings(spec.Command);
        if (spec.Args.Count > 0) body["Cmd"] = Strings(spec.Args);
        return body;
    }

    private static JsonObject HostConfig(UserPodStart start, DockerSettings settings)
    {
        var (spec, needs) = (start.Pod.Spec, start.Pod.Spec.Container);
        var config = new JsonObject
        {
            ["NetworkMode"] = settings.PodNetwork,
            ["Init"] = true,
            ["ReadonlyRootfs"] = needs.ReadOnly,
            ["CapDrop"] = new JsonArray("ALL"),
            ["CapAdd"] = needs.ReadOnly ? new JsonArray() : Strings(Capabilities),
            ["SecurityOpt"] = new JsonArray("no-new-privileges"),
            ["PidsLimit"] = needs.Pids,
            ["ShmSize"] = needs.ShmSize,
            ["Mounts"] = Mounts(start.Pod, settings),
            ["PortBindings"] = PortBindings(spec, settings),
            ["RestartPolicy"] = new JsonObject { ["Name"] = "no" },
            ["LogConfig"] = new JsonObject
            {
                ["Type"] = "json-file",
                ["Config"] = new JsonObject { ["max-size"] = LogSize, ["max-file"] = "2" },
            },
        };
        if (needs.ReadOnly)
            config["Tmpfs"] = new JsonObject { ["/tmp"] = $"rw,exec,nosuid,nodev,mode=1777,size={needs.TmpSize}" };
        if (needs.Memory > 0) (config["Memory"], config["MemorySwap"]) = (needs.Memory, needs.Memory);
        if (needs.Cpus > 0) config["NanoCpus"] = (long)Math.Round(needs.Cpus * 1e9);
        // Only some storage drivers have quotas. With others, the daemon rejects the option.
        if (spec.Disk > 0 && settings.PodDiskQuota)
            config["StorageOpt"] = new JsonObject { ["size"] = spec.Disk.ToString(CultureInfo.InvariantCulture) };
        if (start.State.Devices is { Count: > 0 } devices)
            config["DeviceRequests"] = new JsonArray(new JsonObject
            {
                ["Driver"] = "nvidia",
                ["DeviceIDs"] = Strings(devices),
                ["Capabilities"] = new JsonArray(new JsonArray("gpu")),
            });
        return config;
    }

    private static JsonArray Mounts(UserPod pod, DockerSettings settings)
    {
        var mounts = new JsonArray();
        if (pod.Spec.Volume is { } volume)
            mounts.Add(new JsonObject
            {
                ["Type"] = "volume",
                ["Source"] = Name(pod.Id),
                ["Target"] = volume.Path,
                ["VolumeOptions"] = new JsonObject { ["Labels"] = new JsonObject { [UserPodLabels.Id] = pod.Id } },
            });
        for (var i = 0; i < pod.Spec.Container.Mounts.Count; i++)
        {
            var mount = pod.Spec.Container.Mounts[i];
            if (!settings.IsMountable(mount.Source))
                throw new UserPodStartException($"container.mounts[{i}].source is '{mount.Source}'; expected "
                    + settings.DescribeMountable());
            mounts.Add(ContainerSpec.Mount(mount.Source, mount.Target, mount.ReadOnly));
        }

        return mounts;
    }

    /// <summary>
    /// TCP ports get a port of the machine. HTTP ports get one on its loopback address if the gateway cannot reach
    /// addresses of containers.
    /// </summary>
    private static JsonObject PortBindings(UserPodSpec spec, DockerSettings settings)
    {
        var bindings = new JsonObject();
        foreach (var port in spec.OpenPorts)
        {
            if (port.IsHttp && !settings.Publish) continue;
            bindings[Key(port)] = new JsonArray(new JsonObject
            {
                ["HostIp"] = port.IsHttp ? "127.0.0.1" : settings.PodAddress,
                ["HostPort"] = "",
            });
        }

        return bindings;
    }

    private static string Key(PodPort port) => $"{port.Number.ToString(CultureInfo.InvariantCulture)}/tcp";

    private static JsonArray Strings(IEnumerable<string> all) => [.. all.Select(s => (JsonNode)s)];
}
