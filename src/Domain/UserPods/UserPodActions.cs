namespace Sluice.Domain.UserPods;

/// <summary>Which actions of users are valid for a pod. Pure. Source: RunPod's API v2, <c>POST /pods/{id}/action</c>.
/// </summary>
public static class UserPodActions
{
    /// <summary>The names of all actions.</summary>
    public static readonly IReadOnlyList<string> All = ["start", "stop", "restart", "terminate"];

    /// <summary>
    /// Returns the status that clients see. A pod that stops keeps its status until its program has exited, because it
    /// holds its GPU until then.
    /// </summary>
    public static UserPodStatus StatusOf(UserPod pod, UserPodState state) => pod.Goal switch
    {
        UserPodGoal.Terminated => UserPodStatus.Terminated,
        UserPodGoal.Stopped when state.Status == UserPodStatus.Provisioning => UserPodStatus.Exited,
        UserPodGoal.Running when state.Status is UserPodStatus.Exited or UserPodStatus.Error =>
            UserPodStatus.Provisioning,
        _ => state.Status,
    };

    /// <summary>Returns the actions that are valid now.</summary>
    public static IReadOnlyList<string> ValidFor(UserPod pod, UserPodState state) => pod.Goal == UserPodGoal.Stopped
        // It may stop still; a start is valid nevertheless.
        ? ValidFor(UserPodStatus.Exited, pod.Locked)
        : ValidFor(StatusOf(pod, state), pod.Locked);

    private static IReadOnlyList<string> ValidFor(UserPodStatus status, bool locked) => status switch
    {
        UserPodStatus.Running => locked ? [] : ["stop", "restart", "terminate"],
        UserPodStatus.Exited or UserPodStatus.Error => locked ? ["start"] : ["start", "terminate"],
        UserPodStatus.Provisioning or UserPodStatus.Starting => locked ? [] : ["stop", "terminate"],
        _ => [],
    };

    /// <summary>Returns a pod after a valid action.</summary>
    public static UserPod Apply(UserPod pod, string action) => action switch
    {
        "start" => pod with { Goal = UserPodGoal.Running, Cause = "", StopAt = null },
        "stop" => pod with { Goal = UserPodGoal.Stopped, Cause = "" },
        "restart" => pod with { Restarts = pod.Restarts + 1 },
        "terminate" => pod with { Goal = UserPodGoal.Terminated, Cause = "" },
        _ => throw new ArgumentOutOfRangeException(nameof(action), action, "not an action"),
    };
}
