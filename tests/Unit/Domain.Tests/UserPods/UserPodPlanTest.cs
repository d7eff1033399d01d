using Sluice.Domain.UserPods;
using Action = Sluice.Domain.UserPods.UserPodAction;
using Goal = Sluice.Domain.UserPods.UserPodGoal;
using Status = Sluice.Domain.UserPods.UserPodStatus;

namespace Sluice.Domain.Tests.UserPods;

/// <summary>Tests the next step of a pod in each situation.</summary>
public sealed class UserPodPlanTest
{
    private static readonly DateTimeOffset Now = Pods.Now;

    [Theory]
    // Running: without a container, with one that has not run, with one that runs.
    [InlineData(Goal.Running, Status.Provisioning, null, Action.Create, Status.Provisioning)]
    [InlineData(Goal.Running, Status.Exited, null, Action.Create, Status.Provisioning)]
    [InlineData(Goal.Running, Status.Error, null, Action.Create, Status.Provisioning)]
    [InlineData(Goal.Running, Status.Running, null, Action.Create, Status.Provisioning)]
    [InlineData(Goal.Running, Status.Provisioning, UserPodInstanceState.Created, Action.Start, Status.Provisioning)]
    [InlineData(Goal.Running, Status.Exited, UserPodInstanceState.Exited, Action.Start, Status.Provisioning)]
    [InlineData(Goal.Running, Status.Error, UserPodInstanceState.Exited, Action.Start, Status.Provisioning)]
    [InlineData(Goal.Running, Status.Provisioning, UserPodInstanceState.Running, Action.Probe, Status.Starting)]
    [InlineData(Goal.Running, Status.Starting, UserPodInstanceState.Running, Action.Probe, Status.Starting)]
    [InlineData(Goal.Running, Status.Running, UserPodInstanceState.Running, Action.None, Status.Running)]
    // Running, and the program exited: it waits before the next start.
    [InlineData(Goal.Running, Status.Starting, UserPodInstanceState.Exited, Action.None, Status.Provisioning)]
    [InlineData(Goal.Running, Status.Running, UserPodInstanceState.Exited, Action.None, Status.Provisioning)]
    // Stopped.
    [InlineData(Goal.Stopped, Status.Running, UserPodInstanceState.Running, Action.Stop, Status.Running)]
    [InlineData(Goal.Stopped, Status.Running, UserPodInstanceState.Exited, Action.None, Status.Exited)]
    [InlineData(Goal.Stopped, Status.Provisioning, null, Action.None, Status.Exited)]
    [InlineData(Goal.Stopped, Status.Provisioning, UserPodInstanceState.Created, Action.None, Status.Exited)]
    [InlineData(Goal.Stopped, Status.Exited, UserPodInstanceState.Running, Action.Stop, Status.Exited)]
    [InlineData(Goal.Stopped, Status.Error, null, Action.None, Status.Error)]
    // Terminated.
    [InlineData(Goal.Terminated, Status.Running, UserPodInstanceState.Running, Action.Remove, Status.Running)]
    [InlineData(Goal.Terminated, Status.Exited, UserPodInstanceState.Exited, Action.Remove, Status.Exited)]
    [InlineData(Goal.Terminated, Status.Exited, UserPodInstanceState.Created, Action.Remove, Status.Exited)]
    public void A_step_follows_from_goal_state_and_container(
        Goal goal, Status status, UserPodInstanceState? found, Action action, Status next)
    {
        var pod = Pods.Create(goal: goal);
        var step = Decide(pod, new UserPodState { Status = status }, Find(pod, found));
        Assert.Equal((action, next, null), (step.Action, step.State.Status, step.Goal));
    }

    [Fact]
    public void A_terminated_pod_is_reported_only_without_container_and_volume()
    {
        var pod = Pods.Create(goal: Goal.Terminated);
        var state = new UserPodState { Status = Status.Exited, Devices = ["GPU-1"], Reason = "is being deleted" };
        var deletes = Decide(pod, state, null, hasVolume: true);
        Assert.Equal((Action.RemoveVolume, Status.Exited), (deletes.Action, deletes.State.Status));
        Assert.Equal(["GPU-1"], deletes.State.Devices);
        var gone = Decide(pod, state, null, hasVolume: false);
        Assert.Equal((Action.None, Status.Terminated, Now), (gone.Action, gone.State.Status, gone.State.StoppedAt));
        Assert.Empty(gone.State.Devices);
    }

    [Fact]
    public void A_changed_pod_gets_a_new_container_and_a_renamed_one_keeps_it()
    {
        var pod = Pods.Create();
        var found = Pods.Container(pod, UserPodInstanceState.Running);
        var state = new UserPodState { Status = Status.Running, StartedAt = Now };
        var changed = pod with { Spec = Pods.Spec with { Image = "notebook:2" } };
        Assert.Equal(Action.Remove, Decide(changed, state, found).Action);
        Assert.Equal(Action.None, Decide(pod with { Spec = Pods.Spec with { Name = "other" } }, state, found).Action);
    }

    [Fact]
    public void A_restart_that_a_user_requested_is_done_once()
    {
        var pod = Pods.Create() with { Restarts = 2 };
        var found = Pods.Container(pod, UserPodInstanceState.Running);
        var step = Decide(pod, new UserPodState { Status = Status.Running, Restarted = 1 }, found);
        Assert.Equal((Action.Restart, Status.Starting, 2), (step.Action, step.State.Status, step.State.Restarted));
        Assert.Equal(Action.Probe, Decide(pod, step.State, found).Action);
    }

    [Fact]
    public void A_pod_without_an_http_port_runs_when_its_container_does()
    {
        var pod = Pods.Create(Pods.Spec with { Ports = ["22/tcp"] });
        var step = Decide(pod, new UserPodState(), Pods.Container(pod, UserPodInstanceState.Running));
        Assert.Equal((Action.None, Status.Running), (step.Action, step.State.Status));
        Assert.Equal(Now - TimeSpan.FromSeconds(10), step.State.StartedAt);
    }

    [Fact]
    public void A_program_that_exits_again_and_again_is_given_up_after_the_most_failures()
    {
        var pod = Pods.Create();
        var (state, waits, now) = (new UserPodState { Status = Status.Starting }, new List<double>(), Now);
        for (var i = 1; i < UserPodPlan.MostFailures; i++)
        {
            var step = UserPodPlan.Decide(pod, state, Find(pod, UserPodInstanceState.Exited), false, now);
            Assert.Equal((Status.Provisioning, i, null), (step.State.Status, step.State.Failures, step.Goal));
            waits.Add((step.State.RetryAt!.Value - now).TotalSeconds);
            var early = UserPodPlan.Decide(pod, step.State, Find(pod, UserPodInstanceState.Exited), false, now);
            Assert.Equal(Action.None, early.Action);
            now = step.State.RetryAt.Value;
            Assert.Equal(Action.Start,
                UserPodPlan.Decide(pod, step.State, Find(pod, UserPodInstanceState.Exited), false, now).Action);
            state = step.State with { Status = Status.Starting, RetryAt = null };
        }

        Assert.Equal([1, 2, 4, 8], waits);
        var last = UserPodPlan.Decide(pod, state, Find(pod, UserPodInstanceState.Exited), false, now);
        Assert.Equal((Status.Error, Goal.Stopped, "exit code 3"), (last.State.Status, last.Goal, last.State.Reason));
    }

    [Fact]
    public void A_program_that_ran_for_long_starts_to_count_its_failures_again()
    {
        var pod = Pods.Create();
        var state = new UserPodState { Status = Status.Running, Failures = 4 };
        var exited = Pods.Container(pod, UserPodInstanceState.Exited, ran: UserPodPlan.ProvenAfter);
        Assert.Equal(1, Decide(pod, state, exited).State.Failures);
        var runs = Pods.Container(pod, UserPodInstanceState.Running, ran: UserPodPlan.ProvenAfter);
        Assert.Equal(0, Decide(pod, state, runs).State.Failures);
    }

    [Fact]
    public void A_pod_that_is_not_restarted_stops_at_its_exit()
    {
        var pod = Pods.Create(Pods.Spec with { Restart = false });
        var step = Decide(pod, new UserPodState { Status = Status.Running }, Find(pod, UserPodInstanceState.Exited));
        Assert.Equal((Status.Exited, Goal.Stopped, "exit code 3"), (step.State.Status, step.Goal, step.State.Reason));
    }

    [Fact]
    public void A_start_that_can_never_succeed_is_given_up_immediately()
    {
        var state = new UserPodState { Status = Status.Provisioning, Devices = ["GPU-1"] };
        var never = UserPodPlan.Fail(state, "image is ''", never: true, Now);
        Assert.Equal((Status.Error, Goal.Stopped, null), (never.State.Status, never.Goal, never.State.RetryAt));
        var again = UserPodPlan.Fail(state, "pull failed", never: false, Now);
        Assert.Equal((Status.Provisioning, null), (again.State.Status, again.Goal));
    }

    [Fact]
    public void A_pod_that_waits_for_devices_starts_no_container_and_keeps_one_that_runs()
    {
        var pod = Pods.Create(Pods.GpuSpec);
        var stopped = Pods.Container(pod, UserPodInstanceState.Exited, ["GPU-1"]);
        Assert.Equal(Action.Create, Decide(pod, new UserPodState { Status = Status.Exited }, stopped).Action);
        var runs = Pods.Container(pod, UserPodInstanceState.Running, ["GPU-1"]);
        var kept = Decide(pod, new UserPodState(), runs);
        Assert.Equal(Action.Probe, kept.Action);
        Assert.Equal(["GPU-1"], kept.State.Devices);
        var other = Decide(pod, new UserPodState { Devices = ["GPU-2"] }, runs);
        Assert.Equal(Action.Remove, other.Action);
    }

    [Fact]
    public void A_stopped_pod_holds_its_devices_until_its_program_has_exited()
    {
        var pod = Pods.Create(Pods.GpuSpec, Goal.Stopped) with { Cause = "idle" };
        var state = new UserPodState { Status = Status.Running, Devices = ["GPU-1"], Failures = 3 };
        var stops = Decide(pod, state, Pods.Container(pod, UserPodInstanceState.Running, ["GPU-1"]));
        Assert.Equal(Action.Stop, stops.Action);
        Assert.Equal(["GPU-1"], stops.State.Devices);
        var exited = Decide(pod, stops.State, Pods.Container(pod, UserPodInstanceState.Exited, ["GPU-1"])).State;
        Assert.Empty(exited.Devices);
        Assert.Equal((Status.Exited, "idle", 0), (exited.Status, exited.Reason, exited.Failures));
    }

    [Fact]
    public void A_port_that_does_not_respond_in_time_is_the_reason()
    {
        var pod = Pods.Create();
        var late = new UserPodState { Status = Status.Starting, StartedAt = Now - TimeSpan.FromMinutes(6) };
        var step = Decide(pod, late, Find(pod, UserPodInstanceState.Running));
        Assert.Equal(Action.Probe, step.Action);
        Assert.StartsWith("nothing responds on port 8888", step.State.Reason, StringComparison.Ordinal);
    }

    private static UserPodStep Decide(
        UserPod pod, UserPodState state, UserPodInstance? found, bool hasVolume = false) =>
        UserPodPlan.Decide(pod, state, found, hasVolume, Now);

    private static UserPodInstance? Find(UserPod pod, UserPodInstanceState? state) =>
        state is { } known ? Pods.Container(pod, known) : null;
}
