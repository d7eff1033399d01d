namespace Sluice.Hosting.Kubernetes;

/// <summary>How far a pod is.</summary>
internal enum PodProgress
{
    /// <summary>It has no node with room yet.</summary>
    Unscheduled,

    /// <summary>Its image is pulled, its volumes are mounted, its container is created.</summary>
    Preparing,

    Running,

    Ended,
}
