using Sluice.Core.Workers;

namespace Sluice.Core.Tests.Workers;

/// <summary>Which pods of other hosts are taken for gone, as a table.</summary>
public sealed class LostPodsTest
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Host, state, whether the process lives, seconds since the start, with a GPU, gone.</summary>
    public static TheoryData<string, PodState, bool?, int, bool, bool> Cases => new()
    {
        // Its host lives, and tells what becomes of it; a process that was gone a look ago is gone.
        { "living", PodState.Ready, true, 0, false, false },
        { "living", PodState.Ready, null, 0, false, false },
        { "living", PodState.Starting, true, 1000, false, false },
        { "living", PodState.Ready, false, 0, false, true },
        { "living", PodState.Failed, false, 0, false, false },
        // Its host is silent: another machine's is gone, and so is whatever has no process.
        { "silent", PodState.Ready, null, 0, false, true },
        { "silent", PodState.Ready, false, 0, false, true },
        { "silent", PodState.Failed, false, 0, false, true },
        // One that runs serves on, and has its time to start; nobody else ends it when it is of no use.
        { "silent", PodState.Ready, true, 1000, false, false },
        { "silent", PodState.Starting, true, 59, false, false },
        { "silent", PodState.Starting, true, 61, false, true },
        { "silent", PodState.Draining, true, 0, false, true },
        { "silent", PodState.Stopping, true, 0, false, true },
        // Its GPU is nobody else's while it runs.
        { "silent", PodState.Draining, true, 0, true, false },
        { "silent", PodState.Draining, false, 0, true, true },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void What_runs_is_not_gone_unless_nobody_can_use_or_end_it(string host, PodState state, bool? lives, int age, bool gpu, bool gone) =>
        Assert.Equal(gone, Lost("a").IsLost(Pod(host, state, age, gpu), lives, Now));

    [Fact]
    public void A_process_that_has_just_ended_is_its_hosts_to_tell_of() =>
        Assert.False(Lost("another").IsLost(Pod("living", PodState.Ready, 0, false), false, Now));

    [Fact]
    public void One_that_nobody_reaches_and_nobody_probes_is_gone() =>
        Assert.True((Lost("a") with { Unreachable = new HashSet<string> { "a" } }).IsLost(Pod("silent", PodState.Ready, 0, false), true, Now));

    [Theory]
    [InlineData("GPU-1", PodState.Ready, null, false)]
    [InlineData("GPU-1", PodState.Stopping, null, false)]
    [InlineData("GPU-1", PodState.Ready, true, false)]
    [InlineData("GPU-1", PodState.Ready, false, true)]
    [InlineData("GPU-1", PodState.Failed, null, true)]
    [InlineData("GPU-2", PodState.Ready, null, true)]
    public void A_container_with_a_gpu_of_this_machine_is_gone_when_the_daemon_says_so_and_not_before(string here, PodState state, bool? lives, bool gone) =>
        Assert.Equal(gone, (Lost("a") with { Here = new HashSet<string> { here } }).IsLost(Pod("silent", state, 0, gpu: true), lives, Now));

    private static LostPods Lost(string deadBefore) =>
        new(new HashSet<string> { "living" }, new HashSet<string> { deadBefore }, new HashSet<string>(), new HashSet<string>(), TimeSpan.FromSeconds(60));

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
}
