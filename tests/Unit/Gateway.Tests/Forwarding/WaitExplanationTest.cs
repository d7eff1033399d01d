using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Gateway.Forwarding;
using Sluice.Storage.Fleet;

namespace Sluice.Gateway.Tests.Forwarding;

/// <summary>Tests the reason that a 504 response contains if no worker became available.</summary>
public sealed class WaitExplanationTest
{
    private static readonly Endpoint Declared = new() { Id = "e", Template = "t" };
    private static readonly GpuWait Wait =
        new("e", 1, default, Never: false, "count", "GPU-1 is taken by secret-endpoint", "");

    [Fact]
    public void A_paused_endpoint_is_reported()
    {
        var paused = Declared with { Scaling = new ScalePolicy { Pause = Pause.Queue } };
        Assert.Equal(
            "The endpoint is paused: its scaling.pause is QUEUE.",
            WaitExplanation.Describe(paused, [], Wait, anonymous: true));
    }

    [Fact]
    public void Probe_results_and_device_owners_are_reported_only_to_clients_with_a_key()
    {
        Pod[] starting =
        [
            Pod(PodState.Failed, "exit code 3"),
            Pod(PodState.Starting, "not ready: GET /ready: status 404"),
        ];
        Assert.Equal(
            "Worker e-Starting is starting: not ready: GET /ready: status 404.",
            WaitExplanation.Describe(Declared, starting, null, anonymous: false));
        Assert.Equal("A worker is starting.", WaitExplanation.Describe(Declared, starting, null, anonymous: true));
        Assert.Equal(
            "GPU-1 is taken by secret-endpoint.", WaitExplanation.Describe(Declared, [], Wait, anonymous: false));
        Assert.Equal("No GPU is free for its workers.", WaitExplanation.Describe(Declared, [], Wait, anonymous: true));
        Assert.Equal(
            "Worker e-Failed failed: exit code 3.",
            WaitExplanation.Describe(Declared, starting[..1], null, anonymous: false));
        Assert.Equal(
            "",
            WaitExplanation.Describe(Declared, [.. starting, Pod(PodState.Ready, "ready")], null, anonymous: false));
    }

    private static Pod Pod(PodState state, string reason) => new()
    {
        Id = $"e-{state}",
        EndpointId = "e",
        Template = "t",
        HostId = "h",
        State = state,
        Fingerprint = "f",
        StartedAt = default,
        Reason = reason,
    };
}
