using Sluice.Domain.UserPods;
using Goal = Sluice.Domain.UserPods.UserPodGoal;

namespace Sluice.Domain.Tests.UserPods;

/// <summary>Tests when a pod is stopped or terminated without a request.</summary>
public sealed class UserPodDeadlinesTest
{
    private static readonly DateTimeOffset Now = Pods.Now;
    private static readonly UserPodState Running =
        new() { Status = UserPodStatus.Running, StartedAt = Now - Minutes(30) };

    [Theory]
    [InlineData(Goal.Running, -1, Goal.Terminated)]
    [InlineData(Goal.Running, 0, Goal.Terminated)]
    [InlineData(Goal.Running, 1, null)]
    [InlineData(Goal.Stopped, -1, Goal.Terminated)]
    [InlineData(Goal.Terminated, -1, null)]
    public void A_pod_is_terminated_at_its_time_whether_it_runs_or_not(Goal goal, int minutes, Goal? next)
    {
        var pod = Pods.Create(goal: goal) with { TerminateAt = Now + Minutes(minutes) };
        Assert.Equal(next, Decide(pod, Running, null));
    }

    [Theory]
    [InlineData(Goal.Running, -1, Goal.Stopped)]
    [InlineData(Goal.Running, 1, null)]
    [InlineData(Goal.Stopped, -1, null)]
    public void A_pod_is_stopped_at_its_time(Goal goal, int minutes, Goal? next) =>
        Assert.Equal(next, Decide(Pods.Create(goal: goal) with { StopAt = Now + Minutes(minutes) }, Running, null));

    [Theory]
    [InlineData(30, UserPodStatus.Running, Goal.Stopped)]
    [InlineData(30, UserPodStatus.Starting, Goal.Stopped)]
    [InlineData(31, UserPodStatus.Running, null)]
    [InlineData(30, UserPodStatus.Provisioning, null)]
    public void StopAfter_counts_from_the_start_of_the_container(int minutes, UserPodStatus status, Goal? next) =>
        Assert.Equal(next, Decide(
            Pods.Create(Pods.Spec with { StopAfter = Minutes(minutes) }), Running with { Status = status }, null));

    [Theory]
    [InlineData(null, 30, UserPodStatus.Running, Goal.Stopped)]
    [InlineData(null, 31, UserPodStatus.Running, null)]
    [InlineData(10, 10, UserPodStatus.Running, Goal.Stopped)]
    [InlineData(9, 10, UserPodStatus.Running, null)]
    // Activity before the last start does not count.
    [InlineData(90, 31, UserPodStatus.Running, null)]
    // A pod that still starts is not idle.
    [InlineData(null, 1, UserPodStatus.Starting, null)]
    public void A_pod_is_idle_since_its_last_activity_or_its_start(
        int? active, int timeout, UserPodStatus status, Goal? next)
    {
        var pod = Pods.Create(Pods.Spec with { IdleTimeout = Minutes(timeout) });
        var state = Running with { Status = status };
        var at = active is { } ago ? Now - Minutes(ago) : (DateTimeOffset?)null;
        Assert.Equal(next, Decide(pod, state, at));
    }

    [Fact]
    public void A_pod_without_deadlines_keeps_its_goal() => Assert.Null(Decide(Pods.Create(), Running, null));

    [Fact]
    public void The_cause_names_the_rule()
    {
        var pod = Pods.Create(Pods.Spec with { IdleTimeout = Minutes(5) });
        Assert.Contains("idleTimeout", UserPodDeadlines.Decide(pod, Running, null, Now)!.Value.Cause,
            StringComparison.Ordinal);
    }

    private static Goal? Decide(UserPod pod, UserPodState state, DateTimeOffset? activeAt) =>
        UserPodDeadlines.Decide(pod, state, activeAt, Now)?.Goal;

    private static TimeSpan Minutes(int count) => TimeSpan.FromMinutes(count);
}
