using k8s.Models;
using Sluice.Shared;

namespace Sluice.Hosting.Kubernetes;

/// <summary>
/// Reads the state of a Pod object. Pure. The reasons are those of the kubelet (pkg/kubelet/images/types.go,
/// pkg/kubelet/kuberuntime) and of the condition <c>DisruptionTarget</c> (kubernetes.io, "Disruptions").
/// </summary>
internal static class PodReader
{
    /// <summary>The reason of a pod with scheduling gates (kubernetes.io, "Pod Scheduling Readiness").</summary>
    private const string Gated = "SchedulingGated";

    /// <summary>How long the kubelet may repeat a pull: registries fail for seconds.</summary>
    private static readonly TimeSpan PullTolerance = TimeSpan.FromSeconds(30);

    /// <summary>How long the Secret of the pod may be missing: it is created after the pod.</summary>
    private static readonly TimeSpan ConfigTolerance = TimeSpan.FromSeconds(20);

    /// <summary>The kubelet repeats the creation of a container, which can fail while its node is busy.</summary>
    private static readonly TimeSpan CreateTolerance = TimeSpan.FromSeconds(10);

    /// <summary>Reasons of a waiting container, how long each may last, and what it means for an operator.</summary>
    private static readonly Dictionary<string, (TimeSpan Tolerance, string Means)> Waits = new()
    {
        ["ErrImagePull"] = (PullTolerance, "the image could not be pulled"),
        ["ImagePullBackOff"] = (PullTolerance, "the image could not be pulled"),
        ["RegistryUnavailable"] = (PullTolerance, "the registry of the image does not respond"),
        ["FailedToRetrieveImagePullSecret"] = (PullTolerance, "a Secret of SLUICE_KUBERNETES_PULL_SECRETS is missing"),
        ["InvalidImageName"] = (TimeSpan.Zero, "the name of the image is invalid"),
        ["ImageInspectError"] = (PullTolerance, "the image on the node cannot be read"),
        ["ErrImageNeverPull"] = (TimeSpan.Zero, "the node has no such image, and container.pull is never"),
        ["CreateContainerConfigError"] = (ConfigTolerance, "the container cannot be configured"),
        ["CreateContainerError"] = (CreateTolerance, "the container cannot be created"),
        ["RunContainerError"] = (CreateTolerance, "the container cannot be started"),
    };

    /// <summary>Reasons of a failed pod, and of a pod that Kubernetes wants to end.</summary>
    private static readonly Dictionary<string, string> Ends = new()
    {
        ["Evicted"] = "evicted by its node",
        ["DeadlineExceeded"] = "ended at its deadline, which a stop sets",
        ["NodeShutdown"] = "its node shut down",
        ["Terminated"] = "its node shut down",
        ["NodeLost"] = "its node is lost",
        ["UnexpectedAdmissionError"] = "rejected by its node, whose devices changed",
        ["Preempting"] = "preempted by a system pod of its node",
        ["PreemptionByScheduler"] = "preempted by a pod with a higher priority",
        ["PreemptionByKubeScheduler"] = "preempted by a pod with a higher priority",
        ["TerminationByKubelet"] = "ended by its node",
        ["DeletionByTaintManager"] = "its node is not available",
        ["EvictionByEvictionAPI"] = "evicted, for example because its node is drained",
        ["DeletionByPodGC"] = "its node no longer exists",
    };

    /// <summary>Reads a pod.</summary>
    public static ObservedPod Read(V1Pod pod)
    {
        var status = pod.Status;
        var container = status?.ContainerStatuses?.FirstOrDefault(c => c.Name == PodNames.Container);
        var observed = new ObservedPod
        {
            Progress = PodProgress.Preparing,
            Address = status?.PodIP is { Length: > 0 } ip ? ip : null,
            Leaving = Leaving(pod),
            RunningSince = Time(container?.State?.Running?.StartedAt),
            ScheduledAt = Time(Condition(pod, "PodScheduled") is { Status: "True" } scheduled
                ? scheduled.LastTransitionTime : null),
        };
        if (container?.State?.Terminated is { } terminated)
            return observed with { Progress = PodProgress.Ended, Reason = DescribeExit(pod, terminated) };
        if (status?.Phase is "Failed" or "Succeeded")
            return observed with { Progress = PodProgress.Ended, Reason = DescribeEnd(status) };
        if (container?.State?.Running is not null) return observed with { Progress = PodProgress.Running };
        if (container?.State?.Waiting is { } waiting) return Waiting(observed, waiting);
        if (Condition(pod, "PodScheduled") is { Status: "False" } unscheduled)
            return observed with
            {
                Progress = PodProgress.Unscheduled,
                IsGated = unscheduled.Reason == Gated,
                Reason = Join(unscheduled.Reason == Gated ? "waits for its queue" : "no node has room",
                    unscheduled.Message),
            };
        return observed with
        {
            Progress = observed.ScheduledAt is null ? PodProgress.Unscheduled : PodProgress.Preparing,
        };
    }

    private static ObservedPod Waiting(ObservedPod observed, V1ContainerStateWaiting waiting)
    {
        if (!Waits.TryGetValue(waiting.Reason ?? "", out var known))
            return observed with { Reason = Join(waiting.Reason ?? "", waiting.Message) };
        return observed with { Reason = Join(known.Means, waiting.Message), Tolerance = known.Tolerance };
    }

    private static string DescribeExit(V1Pod pod, V1ContainerStateTerminated terminated)
    {
        if (terminated.Reason == "OOMKilled") return $"killed: out of memory{DescribeLimit(pod)}";
        // The program of the container could not be started; the message says why.
        var exit = terminated.Message is { Length: > 0 } message && terminated.Reason is not "Error" and not "Completed"
            ? Join(ExitCode.Describe(terminated.ExitCode), message)
            : ExitCode.Describe(terminated.ExitCode);
        var cause = Disruption(pod) ?? Known(pod.Status?.Reason);
        return cause is null ? exit : $"{cause}: {exit}";
    }

    private static string DescribeEnd(V1PodStatus status) =>
        Join(Known(status.Reason) ?? status.Reason ?? (status.Phase == "Failed" ? "its pod failed" : "its pod ended"),
            status.Message);

    private static string DescribeLimit(V1Pod pod)
    {
        var limits = pod.Spec?.Containers?.FirstOrDefault()?.Resources?.Limits;
        if (limits is null || !limits.TryGetValue("memory", out var limit)) return "";
        var bytes = limit.ToInt64();
        return bytes % (1 << 20) == 0 ? $" (limit {bytes >> 20} MiB)" : $" (limit {bytes} bytes)";
    }

    private static string? Leaving(V1Pod pod)
    {
        if (pod.Metadata.DeletionTimestamp is null) return null;
        return Disruption(pod) ?? "deleted by another client of Kubernetes, for example because its node is drained";
    }

    private static string? Disruption(V1Pod pod) =>
        Condition(pod, "DisruptionTarget") is { Status: "True" } target
            ? Join(Known(target.Reason) ?? target.Reason, target.Message) : null;

    private static V1PodCondition? Condition(V1Pod pod, string type) =>
        pod.Status?.Conditions?.FirstOrDefault(c => c.Type == type);

    private static string? Known(string? reason) => reason is null ? null : Ends.GetValueOrDefault(reason);

    private static string Join(string reason, string? message) =>
        string.IsNullOrWhiteSpace(message) ? reason : $"{reason}: {message.Trim()}";

    private static DateTimeOffset? Time(DateTime? time) =>
        time is { } t ? new DateTimeOffset(DateTime.SpecifyKind(t, DateTimeKind.Utc)) : null;
}
