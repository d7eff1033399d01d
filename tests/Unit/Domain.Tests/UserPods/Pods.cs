using Sluice.Domain.Declarations;
using Sluice.Domain.Gpus;
using Sluice.Domain.UserPods;

namespace Sluice.Domain.Tests.UserPods;

/// <summary>Pods of these tests.</summary>
internal static class Pods
{
    public const string Id = "a0123456789abc";

    public static readonly DateTimeOffset Now = new(2026, 6, 1, 12, 0, 0, TimeSpan.Zero);

    public static UserPodSpec Spec { get; } = new() { Name = "notebook", Image = "notebook:1", Ports = ["8888/http"] };

    public static UserPodSpec GpuSpec { get; } = Spec with { Gpu = new GpuRequirements() };

    public static UserPod Create(UserPodSpec? spec = null, UserPodGoal goal = UserPodGoal.Running) => new()
    {
        Id = Id,
        Spec = spec ?? Spec,
        Owner = "key",
        CreatedAt = Now - TimeSpan.FromHours(1),
        Goal = goal,
    };

    /// <summary>A container that was created from the pod.</summary>
    public static UserPodInstance Container(
        UserPod pod, UserPodInstanceState state, IReadOnlyList<string>? devices = null, TimeSpan? ran = null) => new()
        {
            PodId = pod.Id,
            State = state,
            Fingerprint = UserPodFingerprint.Compute(pod.Spec, devices ?? []),
            Devices = devices ?? [],
            Exit = state == UserPodInstanceState.Exited ? "exit code 3" : "",
            Ran = ran ?? TimeSpan.FromSeconds(10),
            Addresses = state == UserPodInstanceState.Running ? [new UserPodAddress(8888, "127.0.0.1", 40000)] : [],
        };
}
