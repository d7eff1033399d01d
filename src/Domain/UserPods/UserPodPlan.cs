namespace Sluice.Domain.UserPods;

/// <summary>
/// Decides the next step of a pod from its declaration, its stored state and its container. Pure. Each step brings the
/// container nearer to the goal and can be repeated, so a controller that was interrupted anywhere continues from what
/// its successor finds.
/// </summary>
public static class UserPodPlan
{
    /// <summary>Consecutive failures after which a pod is not started again.</summary>
    public const int MostFailures = 5;

    /// <summary>A program that ran for this long counts as started.</summary>
    public static readonly TimeSpan ProvenAfter = TimeSpan.FromMinutes(1);

    /// <summary>How long a terminated pod stays visible.</summary>
    public static readonly TimeSpan KeepTerminated = TimeSpan.FromHours(1);

    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);

    /// <summary>Returns the next step.</summary>
    /// <param name="pod">The declaration.</param>
    /// <param name="state">The stored state.</param>
    /// <param name="found">The container; null: none exists.</param>
    /// <param name="hasVolume">Whether the pod's volume exists.</param>
    /// <param name="now">The current time.</param>
    public static UserPodStep Decide(
        UserPod pod,
        UserPodState state,
        UserPodInstance? found,
        bool hasVolume,
        DateTimeOffset now) => pod.Goal switch
        {
            UserPodGoal.Running => Run(pod, state, found, now),
            UserPodGoal.Stopped => Stop(pod, state, found, now),
            _ => Terminate(state, found, hasVolume, now),
        };

    /// <summary>Returns whether nothing is to be done for a pod now, as far as can be known without its host.</summary>
    /// <param name="pod">The declaration.</param>
    /// <param name="state">The stored state.</param>
    /// <param name="found">The container; null: none exists.</param>
    /// <param name="activeAt">The time of its last activity.</param>
    /// <param name="now">The current time.</param>
    public static bool IsSettled(
        UserPod pod, UserPodState state, UserPodInstance? found, DateTimeOffset? activeAt, DateTimeOffset now)
    {
        if (state is { Status: UserPodStatus.Terminated, StoppedAt: { } at } && found is null)
            return now - at <= KeepTerminated;
        // Only its host knows whether it has a volume.
        if (pod.Goal == UserPodGoal.Terminated) return false;
        if (UserPodDeadlines.Decide(pod, state, activeAt, now) is not null) return false;
        var step = Decide(pod, state, found, hasVolume: false, now);
        return step is { Action: UserPodAction.None, Goal: null } && step.State.IsSame(state);
    }

    /// <summary>Returns the state after a failed start, and the goal if the pod is given up.</summary>
    /// <param name="state">The stored state.</param>
    /// <param name="reason">Why it failed.</param>
    /// <param name="never">Whether a repetition cannot succeed.</param>
    /// <param name="now">The current time.</param>
    public static UserPodStep Fail(UserPodState state, string reason, bool never, DateTimeOffset now)
    {
        var failures = state.Failures + 1;
        var failed = state with { Failures = failures, Reason = reason, StartedAt = null, Addresses = [] };
        return never || failures >= MostFailures
            ? new UserPodStep(UserPodAction.None,
                failed with { Status = UserPodStatus.Error, RetryAt = null, StoppedAt = now }, UserPodGoal.Stopped)
            : new UserPodStep(UserPodAction.None,
                failed with { Status = UserPodStatus.Provisioning, RetryAt = now + Pause(failures) });
    }

    private static UserPodStep Run(UserPod pod, UserPodState state, UserPodInstance? found, DateTimeOffset now)
    {
        // A user started it again.
        if (state.Status is UserPodStatus.Exited or UserPodStatus.Error)
            state = new UserPodState { Restarted = pod.Restarts, Devices = state.Devices };
        // Redis may have lost the state of a pod whose container runs.
        if (found is { State: UserPodInstanceState.Running, Devices.Count: > 0 } && state.Devices.Count == 0)
            state = state with { Devices = found.Devices };
        // An exit after a stop was requested: a user started the pod again before it had stopped.
        if (found is { State: UserPodInstanceState.Exited } && state is { IsUp: true, StoppedAt: null })
            return HandleExit(pod, state, found, now);
        if (state.RetryAt > now) return new UserPodStep(UserPodAction.None, state);
        var waitsForDevices = pod.Spec.Gpu is not null && state.Devices.Count == 0;
        if (found is null || (waitsForDevices && found.State != UserPodInstanceState.Running))
            return new UserPodStep(UserPodAction.Create, Provision(state));
        // The declaration or the devices have changed.
        if (found.Fingerprint != UserPodFingerprint.Compute(pod.Spec, state.Devices))
            return new UserPodStep(UserPodAction.Remove, Provision(state));
        return found.State == UserPodInstanceState.Running
            ? KeepUp(pod, state, found, now)
            : new UserPodStep(UserPodAction.Start, Provision(state));
    }

    private static UserPodStep KeepUp(UserPod pod, UserPodState state, UserPodInstance found, DateTimeOffset now)
    {
        if (pod.Restarts > state.Restarted)
            return new UserPodStep(UserPodAction.Restart,
                state with { Status = UserPodStatus.Starting, Reason = "restarts", Restarted = pod.Restarts });
        var up = state with
        {
            StartedAt = state.StartedAt ?? now - (found.Ran ?? TimeSpan.Zero),
            StoppedAt = null,
            Addresses = found.Addresses,
            RetryAt = null,
            Failures = found.Ran >= ProvenAfter ? 0 : state.Failures,
        };
        // A stop that a user took back leaves its reason.
        if (up.Status == UserPodStatus.Running) return new UserPodStep(UserPodAction.None, up with { Reason = "" });
        up = up with { Status = UserPodStatus.Starting };
        if (pod.Spec.FirstHttpPort is not { } port)
            return new UserPodStep(UserPodAction.None, up with { Status = UserPodStatus.Running, Reason = "" });
        var late = now - up.StartedAt > pod.Spec.StartTimeout;
        return new UserPodStep(UserPodAction.Probe, up with
        {
            Reason = late
                ? $"nothing responds on port {port} since its start; its log shows what its program does"
                : $"waits for port {port}",
        });
    }

    private static UserPodStep HandleExit(UserPod pod, UserPodState state, UserPodInstance found, DateTimeOffset now)
    {
        var exited = state with
        {
            Status = UserPodStatus.Exited,
            Reason = found.Exit,
            StartedAt = null,
            StoppedAt = now,
            Addresses = [],
        };
        if (!pod.Spec.Restart) return new UserPodStep(UserPodAction.None, exited, UserPodGoal.Stopped);
        var before = found.Ran >= ProvenAfter ? state with { Failures = 0 } : state;
        return Fail(before, found.Exit, never: false, now);
    }

    private static UserPodStep Stop(UserPod pod, UserPodState state, UserPodInstance? found, DateTimeOffset now)
    {
        if (found is { State: UserPodInstanceState.Running })
            return new UserPodStep(
                UserPodAction.Stop, state with { Reason = "stops", StoppedAt = state.StoppedAt ?? now });
        if (state is { Status: UserPodStatus.Exited or UserPodStatus.Error, Devices.Count: 0 })
            return new UserPodStep(UserPodAction.None, state);
        return new UserPodStep(UserPodAction.None, state with
        {
            Status = state.Status == UserPodStatus.Error ? UserPodStatus.Error : UserPodStatus.Exited,
            Reason = state.Status is UserPodStatus.Error or UserPodStatus.Exited ? state.Reason : pod.Cause,
            Devices = [],
            Restarted = pod.Restarts,
            Failures = 0,
            RetryAt = null,
            StartedAt = null,
            StoppedAt = state.StoppedAt ?? now,
            Addresses = [],
        });
    }

    private static UserPodStep Terminate(UserPodState state, UserPodInstance? found, bool hasVolume, DateTimeOffset now)
    {
        if (found is not null) return new UserPodStep(UserPodAction.Remove, state with { Reason = "is being deleted" });
        if (hasVolume) return new UserPodStep(UserPodAction.RemoveVolume, state with { Reason = "is being deleted" });
        return new UserPodStep(UserPodAction.None, state with
        {
            Status = UserPodStatus.Terminated,
            Reason = "",
            Devices = [],
            RetryAt = null,
            StartedAt = null,
            StoppedAt = state.Status == UserPodStatus.Terminated ? state.StoppedAt : now,
            Addresses = [],
        });
    }

    private static UserPodState Provision(UserPodState state) => state with
    {
        Status = UserPodStatus.Provisioning,
        RetryAt = null,
        StartedAt = null,
        StoppedAt = null,
        Addresses = [],
    };

    private static TimeSpan Pause(int failures)
    {
        var pause = FirstPause * Math.Pow(2, Math.Min(failures - 1, 10));
        return pause > LongestPause ? LongestPause : pause;
    }
}
