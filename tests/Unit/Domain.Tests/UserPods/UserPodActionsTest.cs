using Sluice.Domain.UserPods;
using Goal = Sluice.Domain.UserPods.UserPodGoal;
using Status = Sluice.Domain.UserPods.UserPodStatus;

namespace Sluice.Domain.Tests.UserPods;

/// <summary>Tests the status that clients see, and the actions that are valid in it.</summary>
public sealed class UserPodActionsTest
{
    [Theory]
    [InlineData(Goal.Running, Status.Provisioning, Status.Provisioning, "stop terminate")]
    [InlineData(Goal.Running, Status.Starting, Status.Starting, "stop terminate")]
    [InlineData(Goal.Running, Status.Running, Status.Running, "stop restart terminate")]
    // It was started again, and its controller has not seen it yet.
    [InlineData(Goal.Running, Status.Exited, Status.Provisioning, "stop terminate")]
    [InlineData(Goal.Running, Status.Error, Status.Provisioning, "stop terminate")]
    // It stops still, and holds its GPU.
    [InlineData(Goal.Stopped, Status.Running, Status.Running, "start terminate")]
    [InlineData(Goal.Stopped, Status.Provisioning, Status.Exited, "start terminate")]
    [InlineData(Goal.Stopped, Status.Exited, Status.Exited, "start terminate")]
    [InlineData(Goal.Stopped, Status.Error, Status.Error, "start terminate")]
    [InlineData(Goal.Terminated, Status.Running, Status.Terminated, "")]
    public void Status_and_actions_follow_from_goal_and_state(Goal goal, Status stored, Status seen, string valid)
    {
        var pod = Pods.Create(goal: goal);
        var state = new UserPodState { Status = stored };
        Assert.Equal(seen, UserPodActions.StatusOf(pod, state));
        Assert.Equal(valid, string.Join(' ', UserPodActions.ValidFor(pod, state)));
    }

    [Theory]
    [InlineData(Goal.Running, Status.Running, "")]
    [InlineData(Goal.Running, Status.Starting, "")]
    [InlineData(Goal.Stopped, Status.Exited, "start")]
    public void A_locked_pod_can_only_be_started(Goal goal, Status stored, string valid)
    {
        var pod = Pods.Create(goal: goal) with { Locked = true };
        Assert.Equal(valid, string.Join(' ', UserPodActions.ValidFor(pod, new UserPodState { Status = stored })));
    }

    [Fact]
    public void An_action_changes_the_goal()
    {
        var pod = Pods.Create(goal: Goal.Stopped) with { Cause = "idle", StopAt = Pods.Now };
        var started = UserPodActions.Apply(pod, "start");
        Assert.Equal((Goal.Running, "", (DateTimeOffset?)null), (started.Goal, started.Cause, started.StopAt));
        Assert.Equal(Goal.Stopped, UserPodActions.Apply(started, "stop").Goal);
        Assert.Equal((Goal.Running, 1), (UserPodActions.Apply(started, "restart").Goal,
            UserPodActions.Apply(started, "restart").Restarts));
        Assert.Equal(Goal.Terminated, UserPodActions.Apply(started, "terminate").Goal);
        Assert.Throws<ArgumentOutOfRangeException>(() => UserPodActions.Apply(started, "pause"));
    }
}
