using Sluice.Domain.Fleet;

namespace Sluice.Domain.Tests.Fleet;

/// <summary>Which pods of other hosts are considered lost.</summary>
public sealed class LostPodPolicyTest
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>
    /// Host, state, whether the process runs, seconds since the start, whether it has a GPU, whether it is lost.
    /// </summary>
    public static TheoryData<string, PodState, bool?, int, bool, bool> Cases => new()
    {
        // A host with a lease reports the state of its own pods. A process that did not exist in the previous round is
        // lost.
        { "living", PodState.Ready, true, 0, false, false },
        { "living", PodState.Ready, null, 0, false, false },
        { "living", PodState.Starting, true, 1000, false, false },
        { "living", PodState.Ready, false, 0, false, true },
        { "living", PodState.Failed, false, 0, false, false },
        // The host is silent: pods of other machines and pods without a process are lost.
        { "silent", PodState.Ready, null, 0, false, true },
        { "silent", PodState.Ready, false, 0, false, true },
        { "silent", PodState.Failed, false, 0, false, true },
        // A running pod still serves, and may still start. It is lost when it is of no use and no gateway would stop
        // it.
        { "silent", PodState.Ready, true, 1000, false, false },
        { "silent", PodState.Starting, true, 59, false, false },
        { "silent", PodState.Starting, true, 61, false, true },
        { "silent", PodState.Draining, true, 0, false, true },
        { "silent", PodState.Stopping, true, 0, false, true },
        // A running pod keeps its GPU.
        { "silent", PodState.Draining, true, 0, true, false },
        { "silent", PodState.Draining, false, 0, true, true },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_running_pod_is_lost_only_if_it_cannot_serve_and_no_host_stops_it(
        string host,
        PodState state,
        bool? lives,
        int age,
        bool gpu,
        bool gone) =>
        Assert.Equal(gone, Lost("a").IsLost(Pod(host, state, age, gpu), lives, Now));

    [Fact]
    public void A_process_that_has_just_exited_is_left_to_its_host() =>
        Assert.False(Lost("another").IsLost(Pod("living", PodState.Ready, 0, false), false, Now));

    [Fact]
    public void A_pod_that_is_unreachable_and_not_probed_is_lost()
    {
        var lost = Lost("a") with { Unreachable = new HashSet<string> { "a" } };
        Assert.True(lost.IsLost(Pod("silent", PodState.Ready, 0, false), true, Now));
    }

    [Theory]
    [InlineData("GPU-1", PodState.Ready, null, false)]
    [InlineData("GPU-1", PodState.Stopping, null, false)]
    [InlineData("GPU-1", PodState.Ready, true, false)]
    [InlineData("GPU-1", PodState.Ready, false, true)]
    [InlineData("GPU-1", PodState.Failed, null, true)]
    [InlineData("GPU-2", PodState.Ready, null, true)]
    public void A_container_with_a_gpu_of_this_machine_is_lost_only_after_the_daemon_confirms_it(
        string here,
        PodState state,
        bool? lives,
        bool gone)
    {
        var lost = Lost("a") with { Here = new HashSet<string> { here } };
        Assert.Equal(gone, lost.IsLost(Pod("silent", state, 0, gpu: true), lives, Now));
    }

    private static LostPodPolicy Lost(string deadBefore) => new(
        new HashSet<string> { "living" },
        new HashSet<string> { deadBefore },
        new HashSet<string>(),
        new HashSet<string>(),
        TimeSpan.FromSeconds(60));

    private static Pod Pod(string host, PodState state, int age, bool gpu) => new()
    {
        Id = "a",
        EndpointId = "e",
        Template = "t",
        HostId = host,
        State = state,
        Fingerprint = "f",
        StartedAt = Now.AddSeconds(-age),
        Devices = gpu ? ["GPU-1"] : [],
    };

    /// <summary>State, whether the pod runs, whether it is lost, on a host that the gateways share.</summary>
    public static TheoryData<PodState, bool?, bool> SharedCases => new()
    {
        // The leader takes over what runs, and what may run.
        { PodState.Ready, true, false },
        { PodState.Starting, true, false },
        { PodState.Draining, true, false },
        { PodState.Stopping, null, false },
        { PodState.Ready, false, true },
        { PodState.Failed, null, true },
    };

    [Theory]
    [MemberData(nameof(SharedCases))]
    public void On_a_shared_host_only_pods_that_do_not_run_are_lost(PodState state, bool? lives, bool isLost)
    {
        var pod = new Pod
        {
            Id = "p",
            EndpointId = "e",
            Template = "t",
            HostId = "silent",
            State = state,
            Fingerprint = "f",
            StartedAt = Now - TimeSpan.FromHours(1),
        };
        var none = new HashSet<string>();
        var policy = new LostPodPolicy(none, none, none, none, TimeSpan.FromMinutes(1), IsShared: true);
        Assert.Equal(isLost, policy.IsLost(pod, lives, Now));
    }
}
