using System.Globalization;
using k8s.Models;
using Sluice.Domain.Declarations;

namespace Sluice.Hosting.Kubernetes;

/// <summary>
/// Builds the objects of a worker: a bare Pod that is never restarted, and a Secret with its environment. Pure. The Pod
/// meets the Pod Security Standard "restricted" (kubernetes.io/docs/concepts/security/pod-security-standards) unless
/// the template asks for the root user.
/// </summary>
internal static class PodManifest
{
    /// <summary>Longest time that requests get to finish on a node that is drained.</summary>
    private static readonly TimeSpan MaxDrain = TimeSpan.FromHours(1);

    /// <summary>Returns the image of an order: the template's, or else the built-in worker's.</summary>
    public static string Image(PodSpec order, KubernetesSettings settings)
    {
        if (order.Deployment.Template.Image is { Length: > 0 } image) return image;
        return order.Devices is { Count: > 0 } ? settings.WorkerGpuImage : settings.WorkerImage;
    }

    /// <summary>Builds the Pod.</summary>
    /// <param name="order">The order of the pod.</param>
    /// <param name="settings">The settings of the host.</param>
    /// <param name="hostId">The id of the gateway.</param>
    /// <param name="owner">The ConfigMap that owns the pod.</param>
    /// <param name="model">The delivered model; null: the pod has the model repository.</param>
    /// <exception cref="InvalidOperationException">
    /// The template requires something that Kubernetes or these settings do not allow.
    /// </exception>
    public static V1Pod Build(
        PodSpec order, KubernetesSettings settings, string hostId, V1OwnerReference owner, ModelVolume? model = null)
    {
        var template = order.Deployment.Template;
        if (order.ShareMiB is not null || template.Gpu?.Share is not null)
            throw new InvalidOperationException($"gpu.share of template {template.Name} is set; expected a whole GPU "
                + "or a MIG slice, because Kubernetes gives no part of a GPU's memory to a pod");
        var (volumes, mounts) = PodVolumes.Build(order, settings, model);
        var spec = new V1PodSpec
        {
            TerminationGracePeriodSeconds = PodParts.Seconds(DrainBudget(order.Deployment)),
            SecurityContext = PodSecurity(template),
            PriorityClassName = NameOrNull(template.Kubernetes?.PriorityClass),
            RuntimeClassName = NameOrNull(template.Kubernetes?.RuntimeClass),
            NodeSelector = template.Kubernetes?.NodeSelector is { Count: > 0 } labels
                ? new Dictionary<string, string>(labels) : null,
            Affinity = order.Node is { } node && order.Devices is { Count: > 0 } ? PodParts.OnNode(node) : null,
            Tolerations = PodParts.Tolerations(order.Devices ?? [], template.Kubernetes?.Tolerations ?? []),
            Volumes = volumes,
            Containers = [BuildContainer(order, settings, mounts)],
        };
        return PodParts.BuildPod(Metadata(order, settings, hostId, owner), spec, settings);
    }

    private static V1Container BuildContainer(PodSpec order, KubernetesSettings settings, IList<V1VolumeMount> mounts)
    {
        var (template, needs) = (order.Deployment.Template, order.Deployment.Template.Container);
        var port = needs.Port.ToString(CultureInfo.InvariantCulture);
        return new V1Container
        {
            Name = PodNames.Container,
            Image = Image(order, settings),
            ImagePullPolicy = PodParts.PullPolicyOf(needs.Pull),
            // A command replaces the image's entrypoint and its arguments; args alone replace only the arguments.
            Command = template.Command.Count > 0 ? ContainerWords.Escape(Filled(template.Command, port)) : null,
            Args = template.Args.Count > 0 ? ContainerWords.Escape(Filled(template.Args, port)) : null,
            Ports = [new V1ContainerPort { ContainerPort = needs.Port }],
            EnvFrom = PodParts.EnvironmentOf(PodNames.Of(order.PodId)),
            Env = [Field("SLUICE_BIND", "status.podIP")],
            Resources = PodParts.Resources(needs, order.Devices ?? []),
            SecurityContext = new V1SecurityContext
            {
                AllowPrivilegeEscalation = false,
                ReadOnlyRootFilesystem = needs.ReadOnly,
                Capabilities = new V1Capabilities { Drop = ["ALL"] },
            },
            VolumeMounts = mounts,
        };
    }

    /// <summary>Builds the Secret with the pod's environment, which the pod waits for and owns.</summary>
    /// <param name="order">The order of the pod.</param>
    /// <param name="settings">The settings of the host.</param>
    /// <param name="token">The token that the pod requires in every request.</param>
    /// <param name="podUid">The UID of the Pod.</param>
    /// <param name="model">The delivered model; null: the pod has the model repository.</param>
    public static V1Secret BuildSecret(
        PodSpec order, KubernetesSettings settings, string token, string podUid, ModelVolume? model = null)
    {
        var name = PodNames.Of(order.PodId);
        return PodParts.BuildSecret(
            name, PodNames.OwnerLabel, settings, Environment(order, settings, token, model), name, podUid);
    }

    private static Dictionary<string, string> Environment(
        PodSpec order, KubernetesSettings settings, string token, ModelVolume? model)
    {
        var template = order.Deployment.Template;
        var hasCache = PodVolumes.HasCache(template, settings);
        var env = new Dictionary<string, string>
        {
            // The user has no home directory, and the root file system is read-only.
            ["HOME"] = "/tmp",
            // Without a cache that outlives the pod, optimized copies are of no use.
            ["SLUICE_MODEL_CACHE"] = hasCache ? PodVolumes.CacheInside + "/models" : "",
        };
        if (template.IsBuiltIn)
            foreach (var (name, value) in settings.WorkerVariables) env[name] = value;
        if (hasCache) env["SLUICE_TENSORRT_CACHE"] = PodVolumes.CacheInside + "/tensorrt";
        var common = PodEnvironment.Build(order with { Devices = order.Devices ?? [] },
            model?.Repository ?? PodVolumes.ModelsInside, template.Container.Port, token, model?.Path);
        foreach (var (name, value) in common) env[name] = value;
        if (order.Devices is { Count: > 0 })
        {
            // The device plugin chooses the devices, and sets these variables itself.
            env.Remove("CUDA_VISIBLE_DEVICES");
            env.Remove("NVIDIA_VISIBLE_DEVICES");
        }

        return env;
    }

    private static V1ObjectMeta Metadata(
        PodSpec order, KubernetesSettings settings, string hostId, V1OwnerReference owner)
    {
        var labels = new Dictionary<string, string>
        {
            ["app.kubernetes.io/name"] = "sluice-worker",
            ["app.kubernetes.io/managed-by"] = "sluice",
            [PodNames.OwnerLabel] = settings.Owner,
            [PodNames.HostLabel] = hostId,
            [PodNames.EndpointLabel] = PodNames.Label(order.Deployment.Endpoint),
        };
        var annotations = PodAnnotations.Write(order);
        var policy = order.Deployment.Template.Kubernetes;
        if (NameOrNull(policy?.Queue) is { } queue) labels[PodNames.QueueLabel] = queue;
        if (policy?.SafeToEvict is { } safe) annotations[PodNames.SafeToEvict] = safe ? "true" : "false";
        return new V1ObjectMeta
        {
            Name = PodNames.Of(order.PodId),
            Labels = labels,
            Annotations = annotations,
            OwnerReferences = [owner],
        };
    }

    private static string? NameOrNull(string? name) => name is { Length: > 0 } ? name : null;

    private static V1PodSecurityContext PodSecurity(Template template)
    {
        var context = new V1PodSecurityContext { SeccompProfile = new V1SeccompProfile { Type = "RuntimeDefault" } };
        var (user, group) = PodParts.ParseUser(template.Container.User);
        if (user is null || (group is null && template.Container.User.Contains(':', StringComparison.Ordinal)))
            throw NotNumeric();
        context.RunAsUser = user;
        if (user > 0) context.RunAsNonRoot = true;
        // The folders of claims belong to this group, so that an unprivileged user can write there.
        if (group is not null)
            (context.RunAsGroup, context.FsGroup, context.FsGroupChangePolicy) = (group, group, "OnRootMismatch");
        return context;

        InvalidOperationException NotNumeric() => new(
            $"container.user of template {template.Name} is '{template.Container.User}'; expected numbers, like "
            + $"{ContainerRequirements.UnprivilegedUser}, because Kubernetes does not read the names of an image");
    }

    /// <summary>
    /// How long a pod may still run after Kubernetes wants to end it: the longest request, and the time to exit.
    /// </summary>
    private static TimeSpan DrainBudget(Deployment deployment)
    {
        var budget = deployment.Endpoint.Forwarding.ExecutionTimeout + deployment.Template.StopGrace;
        return budget < MaxDrain ? budget : MaxDrain;
    }

    private static V1EnvVar Field(string name, string path) => new()
    {
        Name = name,
        ValueFrom = new V1EnvVarSource { FieldRef = new V1ObjectFieldSelector { FieldPath = path } },
    };

    private static List<string> Filled(IEnumerable<string> words, string port) =>
        [.. words.Select(w => w.Replace("{port}", port, StringComparison.Ordinal))];
}
