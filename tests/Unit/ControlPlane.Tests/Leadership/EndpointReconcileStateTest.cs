using Sluice.ControlPlane.Leadership;
using Sluice.ControlPlane.Pods;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Scaling;
using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane.Tests.Leadership;

/// <summary>The leader's record of failed starts, and the reasons that requests receive.</summary>
public sealed class EndpointReconcileStateTest
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly Endpoint Declared = new() { Id = "e", Template = "t" };

    [Fact]
    public void Failed_starts_block_requests_until_the_next_try()
    {
        var keeper = FailedTimes(3);
        var blocked = keeper.GetBlock(Declared, anyReady: false, Now)!;
        Assert.Equal((Now.AddSeconds(2), false), (blocked.RetryAt, blocked.ByPolicy));
        Assert.Contains("exit code 3: no such model", blocked.Reason, StringComparison.Ordinal);
        Assert.Equal("Workers of endpoint 'e' failed to start 3 times. The next attempt is at 00:00:02 UTC.",
            blocked.ReasonFor(anonymous: true));
        Assert.Null(keeper.GetBlock(Declared, anyReady: false, blocked.RetryAt));
        Assert.Null(keeper.GetBlock(Declared, anyReady: true, Now));
    }

    [Fact]
    public void Only_a_worker_that_became_ready_after_the_last_failure_resets_the_backoff()
    {
        var keeper = FailedTimes(3);
        keeper.RecordProven("host", Now.AddMinutes(-1));
        Assert.Equal(3, keeper.Trouble!.Failures);
        keeper.RecordProven("host", Now.AddSeconds(1));
        Assert.Null(keeper.Trouble);
    }

    [Fact]
    public void Failed_starts_count_for_their_host_until_a_worker_is_ready_there_or_the_declaration_changes()
    {
        var keeper = FailedTimes(1);
        Assert.Equal(["h"], keeper.NodeFailures.Hosts(Now));
        keeper.RecordProven("h", Now.AddMinutes(-1));
        keeper.RecordProven("another", Now.AddSeconds(1));
        Assert.Equal(["h"], keeper.NodeFailures.Hosts(Now));
        keeper.RecordProven("h", Now.AddSeconds(1));
        Assert.Empty(keeper.NodeFailures.Hosts(Now));

        // A worker that was ready exits for another reason than its node.
        keeper.RecordFailure(new PodEnd(Failed() with { ReadyAt = Now }, Failed: true, Proven: false), Now);
        Assert.Empty(keeper.NodeFailures.Hosts(Now));
        keeper.RecordFailures([Failed() with { Id = "e-2", HostId = "other" }], Now);
        Assert.Equal(["other"], keeper.NodeFailures.Hosts(Now));
        keeper.SetFingerprint("g");
        Assert.Empty(keeper.NodeFailures.Hosts(Now));
    }

    [Fact]
    public void Clients_without_a_key_see_neither_devices_nor_the_spent_worker_time()
    {
        var keeper = new EndpointReconcileState
        {
            Wait = new GpuWait("e", 1, Now, Never: true, "gpu.memory", "GPU-77 has 8 GiB", "digits has GPU-78"),
        };
        var waits = keeper.GetBlock(Declared, false, Now)!;
        Assert.Equal("Endpoint 'e' cannot start a worker. No GPU fits its workers.", waits.ReasonFor(anonymous: true));
        Assert.Contains("GPU-77", waits.ReasonFor(anonymous: false), StringComparison.Ordinal);

        keeper.Refusal = new Refusal("30 worker-seconds were used", Now.AddHours(2), "its limit for today is used up");
        var spent = keeper.GetBlock(Declared, true, Now)!;
        Assert.Equal(TimeSpan.FromHours(2), spent.RetryAfter(Now));
        Assert.Equal(
            "Endpoint 'e' rejects requests: its limit for today is used up.",
            spent.ReasonFor(anonymous: true));
    }

    private static EndpointReconcileState FailedTimes(int times)
    {
        var keeper = new EndpointReconcileState();
        keeper.SetFingerprint("f");
        for (var i = 0; i < times; i++)
            keeper.RecordFailure(new PodEnd(Failed(), Failed: true, Proven: false), Now);
        return keeper;
    }

    private static Pod Failed() => new()
    {
        Id = "e-1",
        EndpointId = "e",
        Template = "t",
        HostId = "h",
        State = PodState.Failed,
        Fingerprint = "f",
        StartedAt = Now,
        Reason = "exit code 3: no such model",
    };
}
