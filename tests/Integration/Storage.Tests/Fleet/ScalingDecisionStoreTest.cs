using Sluice.Domain.Declarations;
using Sluice.Domain.Scaling;
using Sluice.Storage.Fleet;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Fleet;

/// <summary>Decisions and states of leaders in a real Redis.</summary>
public sealed class ScalingDecisionStoreTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly ScalePolicy Policy =
        new() { Max = 3, Buffer = 1, Schedules = [new() { Cron = "* * * * *", For = TimeSpan.FromHours(1), Min = 2 }] };

    private readonly ScalingDecisionStore store = new(redis.Store);

    [Fact]
    public async Task A_decision_and_its_state_are_read_back_unchanged()
    {
        var load = new LoadSnapshot(20, TimeSpan.FromSeconds(1), 3, 100, 1, 1, 8)
        {
            Served = TimeSpan.FromSeconds(30),
            LastStart = TimeSpan.FromSeconds(2),
            LastReadyAt = Now,
        };
        var state = ScaleState.Initial;
        for (var i = 0; i < 5; i++)
        {
            var more = load with { Completed = 100 + 10 * i, Served = TimeSpan.FromSeconds(30 + i) };
            state = Autoscaler.Decide(Policy, more, state, Now.AddSeconds(i)).Next;
        }

        var last = load with { Completed = 160, Served = TimeSpan.FromSeconds(36) };
        var decision = Autoscaler.Decide(Policy, last, state, Now.AddSeconds(5));
        var note = ScalingDecisionRecord.Create(Policy, load, decision, 2, 0, 0, Now);
        Assert.True(await store.KeepAsync("as-made", 7, note, decision.Next, default));

        Assert.Equal(decision.Next, await store.StateAsync("as-made", default));
        var read = await store.ReadAsync("as-made", default);
        Assert.Equal((note.Because, note.Inputs, note.Scaler),
            (read.Latest!.Because, read.Latest.Inputs, read.Latest.Scaler));
        Assert.Equal(note.Steps, read.Latest.Steps);
        Assert.Equal(note.Because, Assert.Single(read.Changes).Because);
    }

    [Fact]
    public async Task Only_the_latest_changes_are_listed_newest_first()
    {
        for (var i = 0; i < ScalingDecisionStore.Kept + 20; i++)
            await KeepAsync("bounded", 1, Note(i, start: i % 2 == 0 ? 0 : 1));
        for (var i = 0; i < ScalingDecisionStore.Kept; i++) await KeepAsync("bounded", 1, Note(1000 + i, start: 1));
        var read = await store.ReadAsync("bounded", default);
        Assert.Equal(ScalingDecisionStore.Kept, read.Changes.Count);
        Assert.Equal(1000 + ScalingDecisionStore.Kept - 1, read.Changes[0].Desired);
        await KeepAsync("bounded", 1, Note(5, start: 0));
        read = await store.ReadAsync("bounded", default);
        Assert.Equal((5, 1000 + ScalingDecisionStore.Kept - 1), (read.Latest!.Desired, read.Changes[0].Desired));
    }

    [Fact]
    public async Task A_replaced_leader_cannot_write()
    {
        Assert.True(await KeepAsync("replaced", 5, Note(1, start: 1)));
        Assert.True(await KeepAsync("replaced", 6, Note(2, start: 1)));
        Assert.False(await KeepAsync("replaced", 5, Note(3, start: 1)));
        Assert.Equal([2, 1], (await store.ReadAsync("replaced", default)).Changes.Select(c => c.Desired));
    }

    [Fact]
    public async Task An_endpoint_has_no_decisions_before_the_first_and_after_its_deletion()
    {
        Assert.Null(await store.StateAsync("none", default));
        await KeepAsync("none", 1, Note(1, start: 1));
        await store.ForgetAsync("none", default);
        Assert.Null(await store.StateAsync("none", default));
        var read = await store.ReadAsync("none", default);
        Assert.Null(read.Latest);
        Assert.Empty(read.Changes);
    }

    private Task<bool> KeepAsync(string endpoint, long epoch, ScalingDecisionRecord note) =>
        store.KeepAsync(endpoint, epoch, note, ScaleState.Initial, default);

    private static ScalingDecisionRecord Note(int desired, int start) => ScalingDecisionRecord.Create(Policy, default,
        new ScaleDecision(desired, ScaleState.Initial, [new ScaleStep(ScaleSteps.Demand, desired, "because")]), start,
            0, 0, Now);
}
