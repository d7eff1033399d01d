using Sluice.Domain.Fleet;

namespace Sluice.Domain.Tests.Fleet;

public sealed class FailedPodRetentionTest
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Failures_of_an_earlier_declaration_or_before_a_ready_worker_are_no_longer_listed()
    {
        Pod[] failing =
        [
            Pod("a", PodState.Failed, 1, "old"),
            Pod("b", PodState.Failed, 2),
            Pod("c", PodState.Ready, 0, "old"),
            Pod("d", PodState.Starting, 3),
        ];
        Assert.Equal(["a"], FailedPodRetention.Obsolete(failing, "new").Select(p => p.Id));
        Pod[] repaired = [.. failing, Pod("e", PodState.Ready, 4), Pod("f", PodState.Failed, 5)];
        Assert.Equal(["a", "b"], FailedPodRetention.Obsolete(repaired, "new").Select(p => p.Id));
    }

    private static Pod Pod(string id, PodState state, int second, string fingerprint = "new") => new()
    {
        Id = id,
        EndpointId = "e",
        Template = "t",
        HostId = "another",
        State = state,
        Fingerprint = fingerprint,
        StartedAt = Now.AddSeconds(second),
    };
}
