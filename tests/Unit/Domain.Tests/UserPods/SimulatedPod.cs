using Sluice.Domain.UserPods;

namespace Sluice.Domain.Tests.UserPods;

/// <summary>
/// One pod, its stored state and its container, on a host that loses calls, replies and programs. The controller does
/// the same as <c>UserPodExecution</c>: it stores the state of a step, calls the host, and stores the result. It stops
/// between any two of them.
/// </summary>
internal sealed class SimulatedPod(Random random, UserPod pod)
{
    private UserPodInstanceState? container;
    private string fingerprint = "";
    private IReadOnlyList<string> held = [];
    private DateTimeOffset began;

    public UserPod Pod { get; set; } = pod;

    public UserPodState State { get; private set; } = new();

    public DateTimeOffset Now { get; private set; } = Pods.Now;

    public bool HasVolume { get; private set; }

    public bool Runs => container == UserPodInstanceState.Running;

    public bool HasContainer => container is not null;

    /// <summary>Containers that were created, or started, for a terminated pod.</summary>
    public int Forbidden { get; private set; }

    /// <summary>Sets an arbitrary state, as if much had been lost.</summary>
    public void Scramble()
    {
        State = new UserPodState
        {
            Status = (UserPodStatus)random.Next(6),
            Devices = random.Next(2) == 0 ? [] : ["GPU-1"],
            Failures = random.Next(7),
            Restarted = random.Next(Pod.Restarts + 1),
            RetryAt = random.Next(3) == 0 ? Now + TimeSpan.FromSeconds(random.Next(90)) : null,
            StartedAt = random.Next(2) == 0 ? null : Now - TimeSpan.FromSeconds(random.Next(600)),
            StoppedAt = random.Next(2) == 0 ? null : Now,
        };
        container = random.Next(4) switch { 0 => null, var n => (UserPodInstanceState)(n - 1) };
        // No container of a pod with GPUs is created before it has them.
        held = Pod.Spec.Gpu is null ? [] : ["GPU-1"];
        fingerprint = random.Next(3) == 0 ? "other" : UserPodFingerprint.Compute(Pod.Spec, held);
        HasVolume = random.Next(2) == 0;
        began = Now - TimeSpan.FromSeconds(random.Next(600));
    }

    /// <summary>Does one step. With faults, it may be interrupted anywhere, and the program may exit.</summary>
    /// <param name="faults">Whether calls and replies are lost.</param>
    /// <param name="startsWork">Whether the host can start the program.</param>
    public void Step(bool faults, bool startsWork = true)
    {
        Now += TimeSpan.FromSeconds(random.Next(20));
        if (faults && Runs && random.Next(10) == 0) container = UserPodInstanceState.Exited;
        var step = UserPodPlan.Decide(Pod, State, Look(), HasVolume, Now);
        if (Lost(faults)) return;
        State = step.State;
        if (Lost(faults)) return;
        if (step.Goal is { } goal)
        {
            Pod = Pod with { Goal = goal, Cause = step.State.Reason };
            return;
        }

        // A call whose reply is lost has been carried out, or has not.
        if (Lost(faults)) return;
        var failed = !Call(step.Action, startsWork);
        if (Lost(faults)) return;
        State = Finish(step, failed);
    }

    private bool Call(UserPodAction action, bool startsWork)
    {
        switch (action)
        {
            case UserPodAction.Create or UserPodAction.Start:
                if (Pod.Spec.Gpu is not null && State.Devices.Count == 0) return true;
                if (!startsWork) return false;
                if (Pod.Goal == UserPodGoal.Terminated) Forbidden++;
                if (container is null)
                    (fingerprint, held) = (UserPodFingerprint.Compute(Pod.Spec, State.Devices), State.Devices);
                (container, HasVolume, began) = (UserPodInstanceState.Running, true, Now);
                return true;
            case UserPodAction.Restart:
                (container, began) = (UserPodInstanceState.Running, Now);
                return true;
            case UserPodAction.Stop:
                container = UserPodInstanceState.Exited;
                return true;
            case UserPodAction.Remove:
                container = null;
                return true;
            case UserPodAction.RemoveVolume:
                Assert.False(HasContainer, "a volume in use was deleted");
                HasVolume = false;
                return true;
            default:
                return true;
        }
    }

    private UserPodState Finish(UserPodStep step, bool failed)
    {
        if (failed)
        {
            var after = UserPodPlan.Fail(step.State, "cannot start", never: false, Now);
            if (after.Goal is { } goal) Pod = Pod with { Goal = goal, Cause = "cannot start" };
            return after.State;
        }

        return step.Action switch
        {
            UserPodAction.Create or UserPodAction.Start when Pod.Spec.Gpu is not null
                && step.State.Devices.Count == 0 =>
                step.State with { Devices = ["GPU-1"], Reason = "has its GPU", RetryAt = null },
            UserPodAction.Create or UserPodAction.Start =>
                step.State with { Status = UserPodStatus.Starting, StoppedAt = null },
            UserPodAction.Probe => step.State with { Status = UserPodStatus.Running, Reason = "" },
            _ => step.State,
        };
    }

    private UserPodInstance? Look() => container is not { } state ? null : new UserPodInstance
    {
        PodId = Pod.Id,
        State = state,
        Fingerprint = fingerprint,
        Devices = held,
        Exit = state == UserPodInstanceState.Exited ? "exit code 1" : "",
        Ran = state == UserPodInstanceState.Created ? null : Now - began,
    };

    private bool Lost(bool faults) => faults && random.Next(8) == 0;
}
