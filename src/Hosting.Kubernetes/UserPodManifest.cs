using k8s.Models;
using Sluice.Domain.UserPods;
using Sluice.Hosting.UserPods;

namespace Sluice.Hosting.Kubernetes;

/// <summary>
/// Builds the objects of a user's pod: a bare Pod, a Secret with its environment, and a claim that holds its volume.
/// Pure. The Pod meets the Pod Security Standard "restricted" unless it asks for the root user.
/// </summary>
internal static class UserPodManifest
{
    /// <summary>Size of a volume whose size was not requested.</summary>
    private const long DefaultVolume = 10L << 30;

    /// <summary>The group of the volume if the pod names none: every user of an image gets it.</summary>
    private const long VolumeGroup = 65532;

    /// <summary>
    /// The capabilities of a user who is root, as with Docker: those that package managers, <c>su</c> and sshd need.
    /// </summary>
    private static readonly string[] RootCapabilities =
        ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "NET_BIND_SERVICE", "SYS_CHROOT"];

    /// <summary>Builds the Pod.</summary>
    /// <param name="start">The pod of the user.</param>
    /// <param name="settings">The settings of the host.</param>
    /// <param name="hostId">The id of the gateway.</param>
    /// <param name="owner">The ConfigMap that owns the pod.</param>
    /// <param name="secret">
    /// Name of the Secret with its environment. Each Pod has another one: Kubernetes deletes that of an earlier Pod
    /// later than the Pod.
    /// </param>
    /// <exception cref="UserPodStartException">The pod requires something that Kubernetes or the settings do not
    /// allow.</exception>
    public static V1Pod Build(
        UserPodStart start, KubernetesSettings settings, string hostId, V1OwnerReference owner, string secret)
    {
        var spec = UserPodPlaceholders.FillPort(start.Pod.Spec, start.Pod.Spec.FirstHttpPort ?? 0);
        if (spec.Image.Length == 0)
            throw new UserPodStartException("image is ''; expected an image, because this gateway runs pods on "
                + "Kubernetes (SLUICE_POD_HOST=kubernetes)");
        if (start.State.ShareMiB is not null || spec.Gpu?.Share is not null)
            throw new UserPodStartException("gpu.share is set; expected a whole GPU or a MIG slice, because Kubernetes "
                + "gives no part of a GPU's memory to a pod");
        var devices = start.State.Devices;
        var volumes = new PodVolumeList();
        if (spec.Container.ReadOnly) volumes.AddTmp(spec.Container);
        volumes.AddShm(spec.Container);
        if (spec.Volume is { } volume)
            volumes.AddClaim(new ClaimPath(PodNames.OfUserPod(start.Pod.Id)), volume.Path, readOnly: false);
        if (volumes.AddMounts(spec.Container.Mounts, settings) is { } refused) throw new UserPodStartException(refused);
        var body = new V1PodSpec
        {
            Hostname = start.Pod.Id,
            TerminationGracePeriodSeconds = PodParts.Seconds(spec.StopGrace),
            SecurityContext = PodSecurity(spec),
            Affinity = NodeDevice.NodeOf(devices) is { } node ? PodParts.OnNode(node) : null,
            Tolerations = PodParts.Tolerations(devices, []),
            Volumes = volumes.Volumes,
            Containers =
            [
                new V1Container
                {
                    Name = PodNames.Container,
                    Image = spec.Image,
                    ImagePullPolicy = PodParts.PullPolicyOf(spec.Container.Pull),
                    Command = spec.Command.Count > 0 ? ContainerWords.Escape(spec.Command) : null,
                    Args = spec.Args.Count > 0 ? ContainerWords.Escape(spec.Args) : null,
                    Ports = [.. spec.OpenPorts.Select(p => new V1ContainerPort { ContainerPort = p.Number })],
                    EnvFrom = PodParts.EnvironmentOf(secret),
                    Resources = PodParts.Resources(spec.Container, devices, spec.Disk),
                    SecurityContext = ContainerSecurity(spec),
                    VolumeMounts = volumes.Mounts,
                },
            ],
        };
        return PodParts.BuildPod(Metadata(start, settings, hostId, owner), body, settings);
    }

    /// <summary>Builds another Pod like one that ran before, for example on another node.</summary>
    /// <param name="before">The earlier Pod.</param>
    /// <param name="owner">The ConfigMap that owns the pod.</param>
    /// <param name="secret">Name of the Secret with its environment.</param>
    public static V1Pod Again(V1Pod before, V1OwnerReference owner, string secret)
    {
        var spec = before.Spec;
        (spec.NodeName, spec.ActiveDeadlineSeconds) = (null, null);
        spec.Containers[0].EnvFrom[0].SecretRef.Name = secret;
        return new V1Pod
        {
            ApiVersion = "v1",
            Kind = "Pod",
            Metadata = new V1ObjectMeta
            {
                Name = before.Metadata.Name,
                Labels = before.Metadata.Labels,
                Annotations = before.Metadata.Annotations,
                OwnerReferences = [owner],
            },
            Spec = spec,
        };
    }

    /// <summary>Builds the Secret with the environment, which the Pod waits for and owns.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="environment">The variables.</param>
    /// <param name="settings">The settings of the host.</param>
    /// <param name="pod">The Pod.</param>
    public static V1Secret BuildSecret(
        string name, IDictionary<string, string> environment, KubernetesSettings settings, V1Pod pod) =>
        PodParts.BuildSecret(
            name, PodNames.UserPodsLabel, settings, environment, pod.Metadata.Name, pod.Metadata.Uid);

    /// <summary>Returns the environment of a pod. The device plugin sets the variables of its GPUs.</summary>
    public static Dictionary<string, string> Environment(UserPodStart start)
    {
        var env = UserPodEnvironment.Build(start);
        if (start.State.Devices.Count == 0) return env;
        env.Remove("CUDA_VISIBLE_DEVICES");
        env.Remove("NVIDIA_VISIBLE_DEVICES");
        return env;
    }

    /// <summary>Builds the claim of a pod's volume. Nothing owns it: it outlives the Pod and the gateways.</summary>
    public static V1PersistentVolumeClaim BuildClaim(UserPod pod, KubernetesSettings settings) => new()
    {
        ApiVersion = "v1",
        Kind = "PersistentVolumeClaim",
        Metadata = new V1ObjectMeta
        {
            Name = PodNames.OfUserPod(pod.Id),
            Labels = new Dictionary<string, string> { [PodNames.UserPodsLabel] = settings.Owner },
        },
        Spec = new V1PersistentVolumeClaimSpec
        {
            AccessModes = ["ReadWriteOnce"],
            StorageClassName = settings.PodStorageClass.Length > 0 ? settings.PodStorageClass : null,
            Resources = new V1VolumeResourceRequirements
            {
                Requests = new Dictionary<string, ResourceQuantity>
                {
                    ["storage"] = PodParts.Quantity(
                        $"{(pod.Spec.Volume is { Size: > 0 } volume ? volume.Size : DefaultVolume)}"),
                },
            },
        },
    };

    private static V1ObjectMeta Metadata(
        UserPodStart start, KubernetesSettings settings, string hostId, V1OwnerReference owner) => new()
        {
            Name = PodNames.OfUserPod(start.Pod.Id),
            Labels = new Dictionary<string, string>
            {
                ["app.kubernetes.io/name"] = "sluice-pod",
                ["app.kubernetes.io/managed-by"] = "sluice",
                [PodNames.UserPodsLabel] = settings.Owner,
                [PodNames.HostLabel] = hostId,
            },
            Annotations = UserPodLabels.Write(start, hostId),
            OwnerReferences = [owner],
        };

    private static V1PodSecurityContext PodSecurity(UserPodSpec spec)
    {
        var (user, group) = ParseUser(spec);
        return new V1PodSecurityContext
        {
            SeccompProfile = new V1SeccompProfile { Type = "RuntimeDefault" },
            RunAsUser = user,
            RunAsGroup = group,
            // An image whose user is root is refused, unless the pod asks for root.
            RunAsNonRoot = user != 0,
            FsGroup = group ?? VolumeGroup,
            FsGroupChangePolicy = "OnRootMismatch",
        };
    }

    private static V1SecurityContext ContainerSecurity(UserPodSpec spec) => new()
    {
        AllowPrivilegeEscalation = false,
        ReadOnlyRootFilesystem = spec.Container.ReadOnly,
        Capabilities = new V1Capabilities
        {
            Drop = ["ALL"],
            Add = ParseUser(spec).User == 0 && !spec.Container.ReadOnly ? RootCapabilities : null,
        },
    };

    private static (long? User, long? Group) ParseUser(UserPodSpec spec)
    {
        if (spec.Container.User.Length == 0) return (null, null);
        var (user, group) = PodParts.ParseUser(spec.Container.User);
        return user is null || (group is null && spec.Container.User.Contains(':', StringComparison.Ordinal))
            ? throw new UserPodStartException($"container.user is '{spec.Container.User}'; expected numbers, like "
                + "1000:1000, because Kubernetes does not read the names of an image")
            : (user, group);
    }
}
