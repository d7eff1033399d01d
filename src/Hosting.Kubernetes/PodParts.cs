using System.Globalization;
using k8s.Models;
using Sluice.Domain.Declarations;

namespace Sluice.Hosting.Kubernetes;

/// <summary>Builds the parts that the Pods of workers and of users have in common. Pure.</summary>
internal static class PodParts
{
    /// <summary>How long a pod stays on a node that does not answer.</summary>
    private const long LostNodeSeconds = 30;

    /// <summary>
    /// Builds a bare Pod that is never restarted, without access to the API server. Its pause container is process 1,
    /// so its program is not: most programs ignore SIGTERM there, and nothing reaps their orphans.
    /// </summary>
    public static V1Pod BuildPod(V1ObjectMeta metadata, V1PodSpec spec, KubernetesSettings settings)
    {
        spec.RestartPolicy = "Never";
        spec.AutomountServiceAccountToken = false;
        spec.EnableServiceLinks = false;
        spec.ShareProcessNamespace = true;
        spec.ImagePullSecrets = PullSecrets(settings);
        return new V1Pod { ApiVersion = "v1", Kind = "Pod", Metadata = metadata, Spec = spec };
    }

    /// <summary>Builds the Secret with the environment of a Pod, which the Pod waits for and owns.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="ownerLabel">The label that names the ConfigMap of the installation.</param>
    /// <param name="settings">The settings of the host.</param>
    /// <param name="environment">The variables.</param>
    /// <param name="podName">The name of the Pod.</param>
    /// <param name="podUid">The UID of the Pod.</param>
    public static V1Secret BuildSecret(
        string name,
        string ownerLabel,
        KubernetesSettings settings,
        IDictionary<string, string> environment,
        string podName,
        string podUid) => new()
        {
            ApiVersion = "v1",
            Kind = "Secret",
            Type = "Opaque",
            Immutable = true,
            Metadata = new V1ObjectMeta
            {
                Name = name,
                Labels = new Dictionary<string, string> { [ownerLabel] = settings.Owner },
                OwnerReferences =
                [
                    new V1OwnerReference { ApiVersion = "v1", Kind = "Pod", Name = podName, Uid = podUid },
                ],
            },
            StringData = environment,
        };

    /// <summary>Returns the variables that a container reads from a Secret.</summary>
    public static List<V1EnvFromSource> EnvironmentOf(string secret) =>
        [new V1EnvFromSource { SecretRef = new V1SecretEnvSource { Name = secret } }];

    /// <summary>Returns the limits of a container, which it also requests; null: it has none.</summary>
    /// <param name="needs">The requirements.</param>
    /// <param name="devices">Names of its devices (<see cref="NodeDevice"/>).</param>
    /// <param name="disk">Bytes of files outside of volumes; 0: no limit.</param>
    public static V1ResourceRequirements? Resources(
        ContainerRequirements needs, IReadOnlyList<string> devices, long disk = 0)
    {
        var limits = new Dictionary<string, ResourceQuantity>();
        if (needs.Memory > 0) limits["memory"] = Quantity($"{needs.Memory}");
        if (needs.Cpus > 0) limits["cpu"] = Quantity($"{Math.Round(needs.Cpus * 1000)}m");
        if (disk > 0) limits["ephemeral-storage"] = Quantity($"{disk}");
        foreach (var (resource, count) in NodeDevice.Count(devices)) limits[resource] = Quantity($"{count}");
        return limits.Count == 0 ? null : new V1ResourceRequirements { Limits = limits, Requests = limits };
    }

    /// <summary>Returns a number of bytes or of other units.</summary>
    public static ResourceQuantity Quantity(FormattableString amount) => new(FormattableString.Invariant(amount));

    /// <summary>Requires one node.</summary>
    public static V1Affinity OnNode(string node) => new()
    {
        NodeAffinity = new V1NodeAffinity
        {
            RequiredDuringSchedulingIgnoredDuringExecution = new V1NodeSelector
            {
                NodeSelectorTerms =
                [
                    new V1NodeSelectorTerm
                    {
                        MatchFields =
                        [
                            new V1NodeSelectorRequirement
                            {
                                Key = "metadata.name", OperatorProperty = "In", Values = [node],
                            },
                        ],
                    },
                ],
            },
        },
    };

    /// <summary>Returns the taints that a pod tolerates.</summary>
    /// <param name="devices">Names of its devices: nodes with GPUs usually have a taint.</param>
    /// <param name="more">Those that its template tolerates.</param>
    public static List<V1Toleration> Tolerations(IReadOnlyList<string> devices, IReadOnlyList<NodeToleration> more)
    {
        var tolerations = new List<V1Toleration> { Lost("not-ready"), Lost("unreachable") };
        if (devices.Count > 0)
            tolerations.Add(new V1Toleration
            {
                Key = NodeGpus.WholeGpu, OperatorProperty = "Exists", Effect = "NoSchedule",
            });
        foreach (var taint in more)
            tolerations.Add(new V1Toleration
            {
                Key = taint.Key,
                OperatorProperty = taint.Value.Length > 0 ? "Equal" : "Exists",
                Value = taint.Value.Length > 0 ? taint.Value : null,
                Effect = taint.Effect.Length > 0 ? taint.Effect : null,
            });
        return tolerations;

        static V1Toleration Lost(string what) => new()
        {
            Key = $"node.kubernetes.io/{what}",
            OperatorProperty = "Exists",
            Effect = "NoExecute",
            TolerationSeconds = LostNodeSeconds,
        };
    }

    /// <summary>Returns the Secrets with registry credentials; null: there are none.</summary>
    private static List<V1LocalObjectReference>? PullSecrets(KubernetesSettings settings) =>
        settings.PullSecrets.Count == 0 ? null
            : settings.PullSecrets.Select(s => new V1LocalObjectReference { Name = s }).ToList();

    public static string PullPolicyOf(PullPolicy policy) => policy switch
    {
        PullPolicy.Always => "Always",
        PullPolicy.Never => "Never",
        _ => "IfNotPresent",
    };

    /// <summary>Returns a duration in whole seconds, at least one: 0 would delete a pod without its node.</summary>
    public static long Seconds(TimeSpan duration) => Math.Max(1, (long)Math.Ceiling(duration.TotalSeconds));

    /// <summary>Returns the first number of "user" or "user:group", and the second; null: it is none.</summary>
    public static (long? User, long? Group) ParseUser(string user)
    {
        var parts = user.Split(':');
        return (Parse(parts[0]), parts.Length > 1 ? Parse(parts[1]) : null);

        static long? Parse(string text) =>
            long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
    }
}
