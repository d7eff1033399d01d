using Sluice.Domain.Declarations;
using Sluice.Domain.Notation;

namespace Sluice.Domain.UserPods;

/// <summary>Decides when a pod is stopped or terminated without a request of a user. Pure.</summary>
public static class UserPodDeadlines
{
    /// <summary>Returns the new goal of a pod and its cause, or null if the goal does not change.</summary>
    /// <param name="pod">The declaration.</param>
    /// <param name="state">The stored state.</param>
    /// <param name="activeAt">The time of its last activity; null: none is known.</param>
    /// <param name="now">The current time.</param>
    public static (UserPodGoal Goal, string Cause)? Decide(
        UserPod pod,
        UserPodState state,
        DateTimeOffset? activeAt,
        DateTimeOffset now)
    {
        if (pod.Goal == UserPodGoal.Terminated) return null;
        if (pod.TerminateAt <= now)
            return (UserPodGoal.Terminated, $"terminateAfter has passed ({At(pod.TerminateAt)})");
        if (pod.Goal == UserPodGoal.Stopped) return null;
        if (pod.StopAt <= now) return (UserPodGoal.Stopped, $"stopAfter has passed ({At(pod.StopAt)})");
        if (!state.IsUp || state.StartedAt is not { } started) return null;
        if (pod.Spec.StopAfter > TimeSpan.Zero && now - started >= pod.Spec.StopAfter)
            return (UserPodGoal.Stopped, $"it has run for {Duration.Format(pod.Spec.StopAfter)} (stopAfter)");
        return IdleStopAt(pod, state, activeAt) <= now
            ? (UserPodGoal.Stopped, $"it was idle for {Duration.Format(pod.Spec.IdleTimeout)} (idleTimeout)")
            : null;
    }

    /// <summary>Returns when an idle pod is stopped; null: its idle time has no limit, or it does not run.</summary>
    public static DateTimeOffset? IdleStopAt(UserPod pod, UserPodState state, DateTimeOffset? activeAt)
    {
        // A pod that still starts does what its user wants.
        if (pod.Spec.IdleTimeout == TimeSpan.Zero) return null;
        if (state is not { Status: UserPodStatus.Running, StartedAt: { } began }) return null;
        return (activeAt > began ? activeAt.Value : began) + pod.Spec.IdleTimeout;
    }

    private static string At(DateTimeOffset? time) => $"{time:yyyy-MM-ddTHH:mm:ssZ}";
}
