using Microsoft.Extensions.Logging.Abstractions;
using Sluice.ControlPlane.Leadership;
using Sluice.Domain.Declarations;
using Sluice.Domain.Scaling;
using Sluice.Storage.Fleet;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Fleet;

/// <summary>Which decisions are stored, and with which state a new leader continues.</summary>
public sealed class ScalingDecisionLogTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly ScalePolicy Policy = new() { Scaler = Scaler.RequestCount };

    private readonly ScalingDecisionStore store = new(redis.Store);

    [Fact]
    public async Task A_change_is_stored_immediately_the_latest_once_per_second_and_an_idle_endpoint_once()
    {
        var log = new ScalingDecisionLog(store, () => true, NullLogger<ScalingDecisionLog>.Instance);
        await PublishAsync(Now, queued: 8, current: 0, start: 1);
        Assert.Equal((Now, 1), await KeptAsync());
        await PublishAsync(Now.AddSeconds(0.1), queued: 8, current: 1);
        await PublishAsync(Now.AddSeconds(0.2), queued: 8, current: 1);
        Assert.Equal((Now, 1), await KeptAsync());
        await PublishAsync(Now.AddSeconds(1.2), queued: 8, current: 1);
        Assert.Equal((Now.AddSeconds(1.2), 1), await KeptAsync());
        await PublishAsync(Now.AddSeconds(1.3), queued: 16, current: 1, start: 1);
        Assert.Equal((Now.AddSeconds(1.3), 2), await KeptAsync());

        await PublishAsync(Now.AddSeconds(90), queued: 0, current: 0);
        await PublishAsync(Now.AddSeconds(95), queued: 0, current: 0);
        Assert.Equal((Now.AddSeconds(90), 2), await KeptAsync());

        Task PublishAsync(DateTimeOffset at, int queued, int current, int start = 0)
        {
            var load = new LoadSnapshot(queued, TimeSpan.Zero, 0, 0, current, 0, 8);
            var decision = Autoscaler.Decide(Policy, load, ScaleState.Initial, at);
            return log.PublishAsync(
                "published", 1, ScalingDecisionRecord.Create(Policy, load, decision, start, 0, 0, at), decision.Next,
                default);
        }

        async Task<(DateTimeOffset, int)> KeptAsync()
        {
            var read = await store.ReadAsync("published", default);
            return (read.Latest!.At, read.Changes.Count);
        }
    }

    [Fact]
    public async Task A_new_leader_continues_with_the_learned_state()
    {
        var log = new ScalingDecisionLog(store, () => true, NullLogger<ScalingDecisionLog>.Instance);
        Assert.Equal(ScaleState.Initial, await log.ResumeAsync("resumed", default));
        var state = new ScaleState(Now, 2, 50)
        {
            At = Now, Learned = new ServiceEstimates(10, 20, 3, Now),
            Spending = new Spending(new DateOnly(2026, 1, 1), TimeSpan.FromSeconds(77)),
        };
        var note = ScalingDecisionRecord.Create(
            Policy, default, new ScaleDecision(0, state, [new ScaleStep(ScaleSteps.Demand, 0, "x")]), 1, 0, 0, Now);
        await log.PublishAsync("resumed", 4, note, state, default);
        Assert.Equal(state.Resumed(),
            await new ScalingDecisionLog(store, () => true, NullLogger<ScalingDecisionLog>.Instance)
                .ResumeAsync("resumed", default));
    }
}
