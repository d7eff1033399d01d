using Sluice.Domain.Declarations;

namespace Sluice.Hosting.Kubernetes;

/// <summary>Names that the host gives to objects of Kubernetes.</summary>
internal static class PodNames
{
    /// <summary>Name of the worker's container.</summary>
    public const string Container = "worker";

    /// <summary>The ConfigMap that owns the pod, which identifies the installation.</summary>
    public const string OwnerLabel = "sluice/owner";

    /// <summary>
    /// The ConfigMap that owns the pod of a user. Another label than that of workers, so that no host finds the pods of
    /// the other one.
    /// </summary>
    public const string UserPodsLabel = "sluice/user-pods";

    /// <summary>The gateway that ordered the pod.</summary>
    public const string HostLabel = "sluice/host";

    public const string EndpointLabel = "sluice/endpoint";

    /// <summary>The queue of Kueue that admits the pod (kueue.sigs.k8s.io, "Run plain Pods").</summary>
    public const string QueueLabel = "kueue.x-k8s.io/queue-name";

    /// <summary>Whether the cluster autoscaler may evict the pod (its FAQ, "What types of Pods can prevent").</summary>
    public const string SafeToEvict = "cluster-autoscaler.kubernetes.io/safe-to-evict";

    /// <summary>
    /// Returns the name of a pod and of its Secret. It is fixed, so a repeated order finds the pod of the first one.
    /// </summary>
    public static string Of(string podId) => $"sluice-{podId}";

    /// <summary>Returns the name of a user's pod and of its claim.</summary>
    public static string OfUserPod(string podId) => $"sluice-pod-{podId}";

    /// <summary>Returns an endpoint's id as a label, which must end with a letter or a digit.</summary>
    public static string Label(Endpoint endpoint) => endpoint.Id.TrimEnd('-');
}
