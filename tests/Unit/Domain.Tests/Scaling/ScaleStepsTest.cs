using Sluice.Domain.Declarations;
using Sluice.Domain.Scaling;

namespace Sluice.Domain.Tests.Scaling;

/// <summary>Each step of a decision, in isolation.</summary>
public sealed class ScaleStepsTest
{
    private static readonly DateTimeOffset Now = new(2026, 3, 2, 9, 30, 0, TimeSpan.Zero); // a Monday
    private static readonly ScalePolicy Count = new() { Scaler = Scaler.RequestCount, Max = 10 };

    [Theory]
    // buffer, queued, wanted; 8 slots per worker
    [InlineData(0, 16, 2)]
    [InlineData(2, 16, 4)]
    [InlineData(2, 0, 0)] // nothing is wanted: nothing is spared
    [InlineData(5, 64, 10)] // bounded by max
    public void Buffer_workers_are_added_while_there_is_demand(int buffer, int queued, int wanted) =>
        Assert.Equal(wanted, Decide(Count with { Buffer = buffer }, Load(queued)).Desired);

    [Theory]
    [InlineData("0 9 * * MON-FRI", "UTC", 60, 4)] // began at 9:00
    [InlineData("0 9 * * MON-FRI", "UTC", 30, 0)] // and ended at 9:30
    [InlineData("0 10 * * *", "Europe/Berlin", 60, 4)] // 9:00 UTC
    [InlineData("0 9 * * SAT", "UTC", 600, 0)]
    public void A_scheduled_minimum_applies_for_its_duration(
        string cron, string zone, int minutes, int wanted)
    {
        var schedule = new ScheduledMinimum
        {
            Cron = cron,
            TimeZone = zone,
            For = TimeSpan.FromMinutes(minutes),
            Min = 4,
        };
        var policy = Count with { Schedules = [schedule] };
        var decision = Decide(policy, Load(0));
        Assert.Equal(wanted, decision.Desired);
        Assert.Equal(wanted > 0 ? ScaleSteps.Schedule : ScaleSteps.Demand, decision.DecidedBy);
    }

    [Fact]
    public void A_scheduled_minimum_is_limited_by_max()
    {
        var schedule = new ScheduledMinimum { Cron = "* * * * *", For = TimeSpan.FromMinutes(5), Min = 4 };
        var policy = Count with { Schedules = [schedule] };
        Assert.Equal(8, Decide(policy, Load(64)).Desired);
        Assert.Equal(3, Decide(policy with { Max = 3 }, Load(0)).Desired);
    }

    [Fact]
    public void The_step_limit_bounds_the_workers_added_per_interval()
    {
        var policy = Count with { MaxStep = 2, StepInterval = TimeSpan.FromSeconds(10) };
        var first = Decide(policy, Load(80));
        Assert.Equal((2, ScaleSteps.Step), (first.Desired, first.DecidedBy));
        var soon = Autoscaler.Decide(policy, Load(80, starting: 2), first.Next, Now.AddSeconds(9));
        Assert.Equal(2, soon.Desired);
        var later = Autoscaler.Decide(policy, Load(80, starting: 2), soon.Next, Now.AddSeconds(10));
        Assert.Equal(4, later.Desired);
    }

    [Fact]
    public void The_step_limit_never_removes_workers()
    {
        var policy = Count with { MaxStep = 1, StepInterval = TimeSpan.FromSeconds(10) };
        var state = ScaleState.Initial with { Step = new StepWindow(Now.AddSeconds(-1), 1) };
        Assert.Equal(5, Autoscaler.Decide(policy, Load(80, ready: 5), state, Now).Desired);
    }

    [Fact]
    public void Some_workers_stop_after_the_scale_in_delay_and_all_after_the_idle_timeout()
    {
        var policy = Count with { ScaleInDelay = TimeSpan.FromSeconds(20), IdleTimeout = TimeSpan.FromSeconds(60) };
        var some = new LoadSnapshot(0, TimeSpan.Zero, 8, 5, 4, 0, 8);
        var state = Autoscaler.Decide(policy, some, new ScaleState(null, 0, 5), Now).Next;
        Assert.Equal(4, Autoscaler.Decide(policy, some, state, Now.AddSeconds(19.9)).Desired);
        Assert.Equal(1, Autoscaler.Decide(policy, some, state, Now.AddSeconds(20)).Desired);

        var none = some with { Busy = 0 };
        state = Autoscaler.Decide(policy, none, new ScaleState(null, 0, 5), Now).Next;
        Assert.Equal(4, Autoscaler.Decide(policy, none, state, Now.AddSeconds(59.9)).Desired);
        Assert.Equal(0, Autoscaler.Decide(policy, none, state, Now.AddSeconds(60)).Desired);
    }

    [Fact]
    public void The_idle_timeout_of_the_last_worker_starts_when_no_worker_is_wanted()
    {
        var policy = Count with { ScaleInDelay = TimeSpan.FromSeconds(20), IdleTimeout = TimeSpan.FromSeconds(60) };
        var load = new LoadSnapshot(0, TimeSpan.Zero, 8, 5, 4, 0, 8);
        var state = Autoscaler.Decide(policy, load, new ScaleState(null, 0, 5), Now).Next;
        state = Autoscaler.Decide(policy, load with { Busy = 0 }, state, Now.AddSeconds(5)).Next;
        var fewer = Autoscaler.Decide(policy, load with { Busy = 0 }, state, Now.AddSeconds(20));
        Assert.Equal(1, fewer.Desired);
        Assert.Equal(0,
            Autoscaler.Decide(policy, load with { Busy = 0, Ready = 1 }, fewer.Next, Now.AddSeconds(65)).Desired);
    }

    [Fact]
    public void The_default_delay_of_slo_is_ten_starts_and_at_most_the_idle_timeout()
    {
        var policy = Count with { Scaler = Scaler.Slo, IdleTimeout = TimeSpan.FromSeconds(60) };
        Assert.Equal(30, HeldFor(3));
        Assert.Equal(60, HeldFor(8));

        int HeldFor(double start)
        {
            var state = new ScaleState(null, 0, 5) { Learned = new ServiceEstimates(10, 100, start, Now) };
            var load = new LoadSnapshot(0, TimeSpan.Zero, 8, 5, 4, 0, 8);
            for (var second = 0; second <= 100; second++)
            {
                var decision = Autoscaler.Decide(policy, load, state, Now.AddSeconds(second));
                if (decision.Desired < 4) return second;
                state = decision.Next;
            }

            return -1;
        }
    }

    [Theory]
    // idle timeout, stable window; the workers left after traffic ends are removed once per window, although the means
    // fall through every number
    [InlineData(Scaler.Slo, 10, 20)]
    [InlineData(Scaler.Slo, 60, 60)]
    [InlineData(Scaler.Concurrency, 2, 20)]
    [InlineData(Scaler.Concurrency, 10, 20)]
    [InlineData(Scaler.Concurrency, 60, 60)]
    public void Slo_and_concurrency_scale_in_once_per_stable_window_while_workers_remain(
        Scaler scaler, int idle, int window)
    {
        var policy = Count with
        {
            Scaler = scaler,
            IdleTimeout = TimeSpan.FromSeconds(idle),
            StableWindow = TimeSpan.FromSeconds(window),
        };
        var (state, workers, done, times) = (ScaleState.Initial, 1, 0L, new List<int>());
        for (var second = 0; second < 6 * window; second++)
        {
            // 40 concurrent requests, 10 per second; then 2 concurrent requests, 1 per 2 seconds.
            var (busy, ended) = second < 2 * window ? (40, 10) : (2, second % 2);
            done += ended;
            var served = TimeSpan.FromSeconds(4 * done);
            var load = new LoadSnapshot(0, TimeSpan.Zero, busy, done, workers, 0, 8) { Served = served };
            var decision = Autoscaler.Decide(policy, load, state, Now.AddSeconds(second));
            if (decision.Desired < workers) times.Add(second);
            (state, workers) = (decision.Next, decision.Desired);
        }

        Assert.NotEmpty(times);
        Assert.All(times.Zip(times.Skip(1)), pair => Assert.InRange(pair.Second - pair.First, window, int.MaxValue));
    }

    [Theory]
    // idle timeout, stable window, second in which the last requests end, second of the last scale-in
    [InlineData(10, 20, 3, 14)] // all go soon: not some of them before
    [InlineData(10, 20, 0, 10)]
    // Some workers stop after ten starts of 0.5 s. The others stop one window later instead of one second earlier.
    [InlineData(60, 60, 3, 65)]
    [InlineData(300, 60, 3, 304)] // a long idle timeout is kept as it is
    public void Slo_scales_in_once_per_stable_window_after_traffic_stops(int idle, int window, int lag, int last)
    {
        var policy = Count with
        {
            Scaler = Scaler.Slo,
            IdleTimeout = TimeSpan.FromSeconds(idle),
            StableWindow = TimeSpan.FromSeconds(window),
        };
        var state = new ScaleState(null, 0, 5)
        {
            Learned = new ServiceEstimates(10, 100, 0.5, Now),
            At = Now.AddSeconds(-1),
            Arrived = 5,
        };
        var (workers, times) = (4, new List<int>());
        for (var second = 0; second < 400; second++)
        {
            var completed = lag > 0 && second >= lag ? 13 : 5;
            var load = new LoadSnapshot(0, TimeSpan.Zero, second < lag ? 8 : 0, completed, workers, 0, 8);
            var decision = Autoscaler.Decide(policy, load, state, Now.AddSeconds(second));
            if (decision.Desired < workers) times.Add(second);
            (state, workers) = (decision.Next, decision.Desired);
        }

        Assert.Equal((0, last), (workers, times[^1]));
        Assert.All(times.Zip(times.Skip(1)), pair => Assert.InRange(pair.Second - pair.First, window, int.MaxValue));
    }

    [Fact]
    public void A_pause_drains_all_workers_and_queues_or_rejects_requests()
    {
        var policy = Count with { Min = 2, Pause = Pause.Queue };
        var queued = Decide(policy, Load(80, ready: 3));
        Assert.Equal((0, ScaleSteps.Pause, null), (queued.Desired, queued.DecidedBy, queued.Refuses));
        var refused = Decide(policy with { Pause = Pause.Refuse }, Load(80, ready: 3));
        Assert.Equal(0, refused.Desired);
        Assert.Contains("paused", refused.Refuses!.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void At_the_daily_limit_all_workers_are_drained_until_midnight_utc()
    {
        var policy = Count with { Min = 1, DailyWorkerTime = TimeSpan.FromSeconds(100) };
        var spending = new Spending(DateOnly.FromDateTime(Now.UtcDateTime), TimeSpan.FromSeconds(98));
        var state = ScaleState.Initial with { At = Now.AddSeconds(-1), Spending = spending };
        var under = Autoscaler.Decide(
            policy, Load(8, ready: 1) with { WorkerTime = TimeSpan.FromSeconds(1) }, state, Now);
        Assert.Equal((1, null), (under.Desired, under.Refuses));
        var over = Autoscaler.Decide(
            policy, Load(8, ready: 1) with { WorkerTime = TimeSpan.FromSeconds(1) }, under.Next, Now.AddSeconds(1));
        Assert.Equal((0, ScaleSteps.Spend), (over.Desired, over.DecidedBy));
        Assert.Equal(new DateTimeOffset(2026, 3, 3, 0, 0, 0, TimeSpan.Zero), over.Refuses!.Until);
        var tomorrow = Autoscaler.Decide(policy, Load(8), over.Next, over.Refuses.Until.AddSeconds(1));
        Assert.Equal((1, null), (tomorrow.Desired, tomorrow.Refuses));
    }

    [Fact]
    public void Worker_time_across_midnight_is_divided_between_both_days()
    {
        var midnight = new DateTimeOffset(2026, 3, 3, 0, 0, 0, TimeSpan.Zero);
        var spending = new Spending(new DateOnly(2026, 3, 2), TimeSpan.FromHours(5));
        var state = ScaleState.Initial with { At = midnight.AddSeconds(-3), Spending = spending };
        var next = Autoscaler.Decide(
            Count, Load(0, ready: 2) with { WorkerTime = TimeSpan.FromSeconds(8) }, state, midnight.AddSeconds(1)).Next;
        Assert.Equal(new Spending(new DateOnly(2026, 3, 3), TimeSpan.FromSeconds(2)), next.Spending);
    }

    [Fact]
    public void A_new_leader_keeps_learned_and_used_time_but_restarts_the_delays()
    {
        var state = new ScaleState(Now, 3, 7)
        {
            IdleSince = Now, Learned = new ServiceEstimates(10, 100, 3, Now),
            Spending = new Spending(new DateOnly(2026, 3, 2), TimeSpan.FromSeconds(9)),
        };
        var resumed = state.Resumed();
        Assert.Equal((null, null), (resumed.LowSince, resumed.IdleSince));
        Assert.Equal((state.Learned, state.Spending), (resumed.Learned, resumed.Spending));
    }

    [Fact]
    public void Every_step_that_changed_the_number_is_listed_in_order()
    {
        var policy = Count with { Buffer = 1, Max = 5, MaxStep = 2 };
        var decision = Decide(policy, Load(80));
        Assert.Equal([(ScaleSteps.Demand, 10), (ScaleSteps.Buffer, 11), (ScaleSteps.Bounds, 5), (ScaleSteps.Step, 2)],
            decision.Steps.Select(s => (s.Name, s.Workers)));
    }

    private static ScaleDecision Decide(ScalePolicy policy, LoadSnapshot load) =>
        Autoscaler.Decide(policy, load, ScaleState.Initial, Now);

    private static LoadSnapshot Load(int queued, int ready = 0, int starting = 0) =>
        new(queued, TimeSpan.Zero, 0, 0, ready, starting, 8);
}
