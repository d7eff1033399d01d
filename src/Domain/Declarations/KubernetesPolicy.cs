using System.Text.Json.Serialization;

namespace Sluice.Domain.Declarations;

/// <summary>How Kubernetes schedules the pods of a template. Other hosts ignore it.</summary>
public sealed record KubernetesPolicy
{
    /// <summary>
    /// The LocalQueue of Kueue, in the namespace of the workers, that admits the pods (kueue.sigs.k8s.io, "Run plain
    /// Pods"). Empty: none.
    /// </summary>
    public string Queue { get; init; } = "";

    /// <summary>The name of their PriorityClass; empty: the default of the cluster.</summary>
    public string PriorityClass { get; init; } = "";

    /// <summary>The name of their RuntimeClass, such as <c>kata</c>; empty: the default of the node.</summary>
    public string RuntimeClass { get; init; } = "";

    /// <summary>Labels that a node must have. A worker with GPUs is placed by its <c>gpu</c> instead.</summary>
    public IReadOnlyDictionary<string, string> NodeSelector { get; init; } = new Dictionary<string, string>();

    /// <summary>Taints of nodes that the pods tolerate, in addition to that of GPUs.</summary>
    public IReadOnlyList<NodeToleration> Tolerations { get; init; } = [];

    /// <summary>
    /// Whether the cluster autoscaler may evict a pod to remove its node; null: its own rules apply, which keep nodes
    /// with bare pods.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? SafeToEvict { get; init; }
}
