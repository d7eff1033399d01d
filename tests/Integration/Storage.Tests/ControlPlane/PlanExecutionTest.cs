using Microsoft.Extensions.DependencyInjection;
using Sluice.ControlPlane.Leadership;
using Sluice.ControlPlane.Reconciliation;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Storage.Fleet;
using Sluice.Testing;

namespace Sluice.Storage.Tests.ControlPlane;

/// <summary>What a plan still changes after Redis rejected one of its starts.</summary>
public sealed class PlanExecutionTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private static readonly string[] Drained = ["left"];

    private readonly PodStore store = new(redis.Store);

    [Theory]
    [InlineData("full", 5, true)]
    [InlineData("stale", 4, false)]
    public async Task A_full_endpoint_still_drains_and_a_stale_plan_changes_nothing(string id, long epoch, bool drains)
    {
        using var host = new ScriptedHost();
        using var services = TestControlPlane.Build(redis.Store, redis.Store, host, TimeProvider.System);
        var deployment = new Deployment(
            new Endpoint { Id = id, Template = "t", Scaling = new ScalePolicy { Max = 1 } },
            new Template { Name = "t" });
        // A pod that the plan does not know occupies the only place.
        var pod = new Pod
        {
            Id = "left", EndpointId = id, Template = "t", HostId = "here", State = PodState.Ready, Fingerprint = "f",
            StartedAt = default,
        };
        Assert.True(await store.AdoptAsync(pod, 1, default));
        await store.ReadAsync(id, 5, default);

        var state = new EndpointReconcileState();
        var endpoint = new DeclaredEndpoint(deployment, "f", epoch, state, null!, null!, default);
        var plan = new FleetPlan(1, Drained, [], default, null!);
        var execution = services.GetRequiredService<PlanExecution>();
        Assert.Equal(drains, await execution.ExecuteAsync(endpoint, plan, default));
        var fleet = await store.ReadAsync(id, 0, default);
        Assert.Equal(drains ? Drained : [], fleet.Drain);
        Assert.Equal("left", Assert.Single(fleet.Pods).Id);
    }
}
