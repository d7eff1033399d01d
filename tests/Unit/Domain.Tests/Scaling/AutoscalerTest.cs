using Sluice.Domain.Declarations;
using Sluice.Domain.Scaling;

namespace Sluice.Domain.Tests.Scaling;

/// <summary>The scaling rules as tables.</summary>
public sealed class AutoscalerTest
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly ScalePolicy Count =
        new() { Scaler = Scaler.RequestCount, Max = 10, IdleTimeout = TimeSpan.FromSeconds(60) };
    private static readonly ScalePolicy Delay =
        Count with { Scaler = Scaler.QueueDelay, MaxDelay = TimeSpan.FromSeconds(4) };

    [Theory]
    // queued, busy, ready, starting, wanted; 8 slots per worker
    [InlineData(0, 0, 0, 0, 0)]
    [InlineData(1, 0, 0, 0, 1)]
    [InlineData(8, 0, 0, 0, 1)]
    [InlineData(9, 0, 0, 0, 2)]
    [InlineData(500, 0, 0, 0, 10)] // bounded by max
    [InlineData(9, 0, 0, 2, 2)] // those that start are counted: ordered once
    [InlineData(1, 8, 1, 0, 2)]
    [InlineData(0, 8, 1, 0, 1)]
    public void Request_count_divides_the_requests_by_the_slots_of_a_worker(
        int queued, int busy, int ready, int starting, int wanted)
    {
        var load = new LoadSnapshot(queued, TimeSpan.Zero, busy, 0, ready, starting, 8);
        Assert.Equal(wanted, Autoscaler.Decide(Count, load, ScaleState.Initial, Now).Desired);
    }

    [Fact]
    public void The_target_of_the_policy_replaces_the_slots_of_the_worker()
    {
        var load = new LoadSnapshot(9, TimeSpan.Zero, 0, 0, 0, 0, 8);
        Assert.Equal(3, Autoscaler.Decide(Count with { Target = 3 }, load, ScaleState.Initial, Now).Desired);
    }

    [Theory]
    // queued, oldest s, busy, ready, starting, wanted
    [InlineData(0, 0, 0, 0, 0, 0)]
    [InlineData(1, 0, 0, 0, 0, 1)]
    [InlineData(5, 3.9, 8, 1, 0, 1)] // still tolerated
    [InlineData(5, 4.1, 8, 1, 0, 2)]
    [InlineData(5, 9, 8, 1, 1, 2)] // one is coming: wait for it
    [InlineData(0, 0, 1, 1, 0, 1)]
    public void Queue_delay_adds_one_worker_if_the_oldest_request_waits_too_long(
        int queued, double oldest, int busy, int ready, int starting, int wanted)
    {
        var load = new LoadSnapshot(queued, TimeSpan.FromSeconds(oldest), busy, 0, ready, starting, 8);
        Assert.Equal(wanted, Autoscaler.Decide(Delay, load, ScaleState.Initial, Now).Desired);
    }

    [Fact]
    public void Time_at_rest_changes_the_state_like_decisions_without_requests()
    {
        var busy = new LoadSnapshot(9, TimeSpan.Zero, 3, 40, 0, 0, 8);
        var state = Autoscaler.Decide(Count, busy with { Completed = 0 }, ScaleState.Initial, Now).Next;
        state = Autoscaler.Decide(Count, busy, state, Now.AddSeconds(1)).Next;
        var idle = busy with { Queued = 0, Busy = 0, Completed = 52 };
        var decided = Autoscaler.Decide(Count, idle, state, Now.AddSeconds(2)).Next;
        var rested = Autoscaler.Rest(Count, decided, Now.AddSeconds(32));
        for (var second = 3; second <= 32; second++)
            decided = Autoscaler.Decide(Count, idle, decided, Now.AddSeconds(second)).Next;
        Assert.Equal(decided.At, rested.At);
        Assert.Equal(decided.Traffic.Usual.Mean, rested.Traffic.Usual.Mean, 1e-9);
        Assert.Equal(decided.Panic.Stable.Mean, rested.Panic.Stable.Mean, 1e-9);
        Assert.Equal(rested, Autoscaler.Rest(Count, rested, Now));
        Assert.Equal(ScaleState.Initial, Autoscaler.Rest(Count, ScaleState.Initial, Now));
    }

    [Theory]
    [InlineData(Scaler.RequestCount)]
    [InlineData(Scaler.QueueDelay)]
    public void Min_and_max_limit_every_scaler(Scaler scaler)
    {
        var policy = Count with { Scaler = scaler, Min = 2, Max = 3 };
        Assert.Equal(2, Autoscaler.Decide(policy, default, ScaleState.Initial, Now).Desired);
        var busy = new LoadSnapshot(1000, TimeSpan.FromMinutes(1), 24, 0, 3, 0, 8);
        Assert.Equal(3, Autoscaler.Decide(policy, busy, ScaleState.Initial, Now).Desired);
    }

    [Fact]
    public void A_lowered_max_applies_immediately_even_under_load()
    {
        var busy = new LoadSnapshot(10, TimeSpan.Zero, 40, 0, 5, 0, 8);
        Assert.Equal(2, Autoscaler.Decide(Count with { Max = 2 }, busy, ScaleState.Initial, Now).Desired);
    }

    [Fact]
    public void Workers_stop_only_after_fewer_were_wanted_for_the_whole_idle_timeout()
    {
        var idle = new LoadSnapshot(0, TimeSpan.Zero, 0, 7, 3, 0, 8);
        var state = new ScaleState(null, 0, 7);
        var held = Autoscaler.Decide(Count, idle, state, Now);
        Assert.Equal(3, held.Desired);
        held = Autoscaler.Decide(Count, idle, held.Next, Now.AddSeconds(59.9));
        Assert.Equal(3, held.Desired);
        Assert.Equal(0, Autoscaler.Decide(Count, idle, held.Next, Now.AddSeconds(60)).Desired);
    }

    [Fact]
    public void The_highest_number_wanted_during_the_delay_remains()
    {
        var idle = new LoadSnapshot(0, TimeSpan.Zero, 0, 7, 5, 0, 8);
        var state = Autoscaler.Decide(Count, idle, new ScaleState(null, 0, 7), Now).Next;
        state = Autoscaler.Decide(Count, idle with { Busy = 12 }, state, Now.AddSeconds(30)).Next;
        Assert.Equal(2, Autoscaler.Decide(Count, idle, state, Now.AddSeconds(60)).Desired);
    }

    [Fact]
    public void A_burst_restarts_the_idle_timeout()
    {
        var idle = new LoadSnapshot(0, TimeSpan.Zero, 0, 7, 1, 0, 8);
        var state = Autoscaler.Decide(Count, idle, new ScaleState(null, 0, 7), Now).Next;
        state = Autoscaler.Decide(Count, idle with { Busy = 8 }, state, Now.AddSeconds(50)).Next;
        var after = Autoscaler.Decide(Count, idle, state, Now.AddSeconds(61));
        Assert.Equal(1, after.Desired);
    }

    [Fact]
    public void The_counter_detects_requests_shorter_than_a_pass()
    {
        var quiet = new LoadSnapshot(0, TimeSpan.Zero, 0, 8, 1, 0, 8);
        var decision = Autoscaler.Decide(Count, quiet, new ScaleState(Now.AddSeconds(-100), 0, 7), Now);
        Assert.Equal(1, decision.Desired);
        Assert.Null(decision.Next.LowSince);
    }

    [Fact]
    public void A_new_leader_stops_no_worker_before_it_observed_the_whole_delay()
    {
        var idle = new LoadSnapshot(0, TimeSpan.Zero, 0, 7, 3, 0, 8);
        Assert.Equal(3, Autoscaler.Decide(Count, idle, ScaleState.Initial, Now).Desired);
    }

    [Fact]
    public void The_reason_contains_the_inputs()
    {
        var load = new LoadSnapshot(20, TimeSpan.Zero, 0, 0, 0, 0, 8);
        Assert.Equal("20 waiting + 0 running, 8 per worker: 3; limited to 0..2: 2",
            Autoscaler.Decide(Count with { Max = 2 }, load, ScaleState.Initial, Now).Because);
    }
}
