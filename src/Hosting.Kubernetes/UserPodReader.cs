using k8s.Models;
using Sluice.Domain.UserPods;
using Sluice.Hosting.UserPods;

namespace Sluice.Hosting.Kubernetes;

/// <summary>Reads the Pod object of a user's pod. Pure.</summary>
internal static class UserPodReader
{
    /// <summary>Returns what <see cref="UserPodLabels"/> wrote, which are annotations of the Pod.</summary>
    public static IReadOnlyDictionary<string, string> LabelsOf(V1Pod pod) =>
        pod.Metadata.Annotations is { } annotations ? annotations.AsReadOnly() : new Dictionary<string, string>();

    /// <summary>Reads a Pod.</summary>
    /// <param name="pod">The Pod.</param>
    /// <param name="labels">Its labels (<see cref="LabelsOf"/>).</param>
    /// <param name="declared">The pod that it was created for; null: that is not known now.</param>
    /// <param name="now">The current time.</param>
    public static UserPodInstance Read(
        V1Pod pod, IReadOnlyDictionary<string, string> labels, UserPod? declared, DateTimeOffset now)
    {
        var observed = PodReader.Read(pod);
        var state = observed.Progress switch
        {
            PodProgress.Ended => UserPodInstanceState.Exited,
            PodProgress.Running when observed.Address is not null => UserPodInstanceState.Running,
            _ => UserPodInstanceState.Created,
        };
        return new UserPodInstance
        {
            PodId = labels[UserPodLabels.Id],
            State = state,
            Fingerprint = UserPodLabels.FingerprintOf(labels),
            Devices = UserPodLabels.DevicesOf(labels),
            Declared = declared,
            Exit = state == UserPodInstanceState.Exited ? observed.Reason : "",
            Ran = state switch
            {
                UserPodInstanceState.Running => now - observed.RunningSince,
                UserPodInstanceState.Exited => Ran(pod),
                _ => null,
            },
            Addresses = state == UserPodInstanceState.Running ? Addresses(observed.Address!, labels) : [],
        };
    }

    private static UserPodAddress[] Addresses(string ip, IReadOnlyDictionary<string, string> labels) =>
        UserPodLabels.Read(labels, []) is { } pod
            ? [.. pod.Spec.OpenPorts.Select(p => new UserPodAddress(p.Number, ip, p.Number))] : [];

    private static TimeSpan? Ran(V1Pod pod)
    {
        var ended = pod.Status?.ContainerStatuses?.FirstOrDefault(c => c.Name == PodNames.Container)?.State?.Terminated;
        var ran = ended?.FinishedAt - ended?.StartedAt;
        return ran < TimeSpan.Zero ? TimeSpan.Zero : ran;
    }
}
