using Sluice.Domain.UserPods;
using Sluice.Testing;

namespace Sluice.Domain.Tests.UserPods;

/// <summary>
/// From every state, and after calls and replies that were lost anywhere, a pod reaches its goal. The seed of a failure
/// is in its message.
/// </summary>
public sealed class UserPodPlanPropertiesTest
{
    private static readonly int Runs = RandomCases.Count(2000);

    /// <summary>More steps than any pod needs without faults, waits between failures included.</summary>
    private const int Enough = 60;

    [Fact]
    public void A_running_pod_gets_a_running_container_with_its_devices() => ForAll(UserPodGoal.Running, (pod, seed) =>
    {
        for (var i = 0; i < Enough; i++) pod.Step(faults: false);
        // Exits before the last fault may have used up its attempts.
        if (pod.Pod.Goal == UserPodGoal.Stopped)
        {
            Assert.True(pod is { Runs: false, State: { Status: UserPodStatus.Error, Devices.Count: 0 } }, seed);
            pod.Pod = UserPodActions.Apply(pod.Pod, "start");
            for (var i = 0; i < Enough; i++) pod.Step(faults: false);
        }

        Assert.True(pod is { Runs: true, State: { Status: UserPodStatus.Running, Reason: "" } },
            $"{seed}: {pod.State}");
        Assert.True(pod.State.Restarted == pod.Pod.Restarts, $"{seed}: {pod.State}");
        if (pod.Pod.Spec.Gpu is not null) Assert.Equal(["GPU-1"], pod.State.Devices);
    });

    [Fact]
    public void A_pod_that_can_never_start_ends_in_error_without_devices() => ForAll(UserPodGoal.Running, (pod, seed) =>
    {
        if (pod.Runs) return;
        for (var i = 0; i < Enough && !pod.Runs; i++) pod.Step(faults: false, startsWork: false);
        Assert.True(pod.State is { Status: UserPodStatus.Error, Devices.Count: 0 }, $"{seed}: {pod.State}");
        Assert.True(pod.Pod.Goal == UserPodGoal.Stopped, seed);
    });

    [Fact]
    public void A_stopped_pod_has_no_running_container_and_no_devices() => ForAll(UserPodGoal.Stopped, (pod, seed) =>
    {
        for (var i = 0; i < Enough; i++) pod.Step(faults: false);
        Assert.False(pod.Runs, seed);
        Assert.True(pod.State is { Status: UserPodStatus.Exited or UserPodStatus.Error, Devices.Count: 0 },
            $"{seed}: {pod.State}");
    });

    [Fact]
    public void A_terminated_pod_leaves_nothing_and_gets_no_container() => ForAll(UserPodGoal.Terminated, (pod, seed) =>
    {
        for (var i = 0; i < Enough; i++) pod.Step(faults: false);
        Assert.True(pod is { HasContainer: false, HasVolume: false, Forbidden: 0 }, seed);
        Assert.True(pod.State is { Status: UserPodStatus.Terminated, Devices.Count: 0 }, $"{seed}: {pod.State}");
    });

    private static void ForAll(UserPodGoal goal, Action<SimulatedPod, string> holds)
    {
        for (var run = 0; run < Runs; run++)
        {
            var random = new Random(run);
            var pod = new SimulatedPod(random, Pods.Create(run % 2 == 0 ? Pods.Spec : Pods.GpuSpec)
                with { Restarts = random.Next(3) });
            if (random.Next(2) == 0) pod.Scramble();
            for (var i = random.Next(30); i > 0; i--)
            {
                pod.Step(faults: true);
                if (random.Next(6) == 0) pod.Pod = pod.Pod with { Goal = (UserPodGoal)random.Next(2) };
            }

            pod.Pod = pod.Pod with { Goal = goal, Cause = "" };
            for (var i = random.Next(20); i > 0; i--) pod.Step(faults: true);
            holds(pod, $"seed {run}");
        }
    }
}
