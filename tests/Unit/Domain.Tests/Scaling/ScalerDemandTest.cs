using Sluice.Domain.Declarations;
using Sluice.Domain.Scaling;

namespace Sluice.Domain.Tests.Scaling;

/// <summary>The demand of CONCURRENCY and SLO as tables, and the learned values.</summary>
public sealed class ScalerDemandTest
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly ScalePolicy Slo = new() { Scaler = Scaler.Slo, Max = 100 };
    private static readonly ScalePolicy Concurrency =
        new() { Scaler = Scaler.Concurrency, Max = 100, Target = 10, TargetUtilization = 70 };

    [Theory]
    // 10 requests per worker at 70 %: 7
    [InlineData(0, 0, 0)]
    [InlineData(1, 1, 1)]
    [InlineData(7, 1, 1)]
    [InlineData(7.1, 1, 2)]
    [InlineData(70, 10, 10)]
    public void Concurrency_divides_the_mean_by_the_target_utilization(double concurrency, int ready, int wanted) =>
        Assert.Equal(wanted,
            Autoscaler.Decide(Concurrency, Steady(concurrency, ready), Held(concurrency), Now).Desired);

    [Fact]
    public void Concurrency_panics_if_the_short_window_requires_twice_the_current_workers()
    {
        var state = Held(7) with { Panic = new Panic(new(7, 1), new(28, 1), null, 0) };
        var alone = Autoscaler.Decide(Concurrency, Steady(7, ready: 1), state, Now);
        Assert.Equal(4, alone.Desired);
        Assert.Equal(Now, alone.Next.Panic.Since);
        var starting = Autoscaler.Decide(Concurrency, Steady(7, ready: 1) with { Starting = 3 }, state, Now);
        Assert.Null(starting.Next.Panic.Since);
    }

    [Fact]
    public void Concurrency_keeps_the_maximum_of_a_panic_for_one_stable_window()
    {
        var state = Held(7) with { Panic = new Panic(new(7, 1), new(7, 1), Now, 5) };
        Assert.Equal(5, Autoscaler.Decide(Concurrency, Steady(7, 5), state, Now.AddSeconds(60)).Desired);
        Assert.Null(Autoscaler.Decide(Concurrency, Steady(7, 5), state, Now.AddSeconds(61)).Next.Panic.Since);
    }

    [Theory]
    // queued, busy, tokens in flight, waiting, capacity of a worker, declared, wanted; 8 slots per worker, 70 %
    [InlineData(0, 0, 0, 0, 0, 0, 0)]
    [InlineData(1, 0, 0, 500, 0, 0, 1)] // from zero, capacity unknown
    [InlineData(20, 0, 0, 90_000, 0, 0, 3)] // until it is known, by slots
    [InlineData(20, 0, 0, 90_000, 0, 10_000, 9)]
    [InlineData(0, 4, 7000, 0, 10_000, 0, 1)]
    [InlineData(0, 4, 7001, 0, 10_000, 0, 2)]
    [InlineData(2, 4, 9000, 6000, 10_000, 0, 3)]
    [InlineData(2, 4, 9000, 6000, 10_000, 5000, 3)]
    [InlineData(30, 8, 100, 100, 10_000, 0, 5)] // short texts: slots
    [InlineData(0, 0, 9000, 0, 10_000, 0, 0)] // they have just ended
    public void Tokens_divides_the_tokens_by_the_share_of_a_worker(
        int queued, int busy, long flight, long waiting, long capacity, long declared, int wanted)
    {
        var policy = new ScalePolicy { Scaler = Scaler.Tokens, Max = 100, TargetTokens = declared };
        var load = new LoadSnapshot(queued, TimeSpan.Zero, busy, 0, 0, 0, 8)
        {
            TokensInFlight = flight, TokensWaiting = waiting, TokensPerWorker = capacity,
        };
        Assert.Equal(wanted, Autoscaler.Decide(policy, load, ScaleState.Initial, Now).Steps[0].Workers);
    }

    [Fact]
    public void Tokens_remembers_the_capacity_of_a_worker_and_names_its_inputs()
    {
        var policy = new ScalePolicy { Scaler = Scaler.Tokens, Max = 100 };
        var load = new LoadSnapshot(0, TimeSpan.Zero, 2, 0, 1, 0, 8) { TokensInFlight = 900, TokensPerWorker = 1000 };
        var first = Autoscaler.Decide(policy, load, ScaleState.Initial, Now);
        Assert.Equal("900 tokens in flight + 0 waiting, 700 per worker (70 % of its 1000): 2", first.Steps[0].Why);
        var fromZero = new LoadSnapshot(3, TimeSpan.Zero, 0, 2, 0, 0, 8) { TokensWaiting = 1500 };
        var next = Autoscaler.Decide(policy, fromZero, first.Next, Now.AddMinutes(9));
        Assert.Equal("0 tokens in flight + 1500 waiting, 700 per worker (70 % of its 1000): 3", next.Steps[0].Why);
        var inputs = DecisionInputs.Create(fromZero, next.Next);
        Assert.Equal((null, 1500, 1000), (inputs.TokensInFlight, inputs.TokensWaiting, inputs.TokensPerWorker));
    }

    [Fact]
    public void Slo_plans_one_slot_per_request_before_a_service_time_is_learned() =>
        Assert.Equal(63,
            Autoscaler.Decide(Slo, new LoadSnapshot(500, TimeSpan.Zero, 0, 0, 0, 0, 8), ScaleState.Initial, Now).Desired);

    [Theory]
    // queued, requests/s, service s, start s, ready, starting, wanted; 8 slots per worker, 1 s for 95 %
    [InlineData(0, 0, 1, 5, 0, 0, 0)]
    [InlineData(1, 0, 1, 5, 0, 0, 1)]
    [InlineData(500, 0, 0.02, 5, 0, 0, 1)] // short ones: seven slots do them in 1.5 s
    [InlineData(500, 0, 1, 5, 0, 0, 42)] // 500 in 1.5 s, three tenths of a start: 333 slots
    [InlineData(500, 0, 1, 5, 2, 0, 35)] // two workers do 80 of them before another one is there
    [InlineData(0, 10, 1, 5, 2, 0, 2)] // Erlang: 14 slots for 10 on average
    [InlineData(0, 100, 1, 5, 13, 0, 13)] // 103 for 100
    public void Slo_plans_the_minimum_for_the_stream_and_the_backlog(
        int queued, double rate, double service, double start, int ready, int starting, int wanted)
    {
        var traffic = new MovingAverage(rate, 1);
        var state = new ScaleState(null, 0, 100)
        {
            At = Now, Arrived = 100 + queued + (rate > 0 ? 1 : 0),
            Learned = new ServiceEstimates(100 * service, 100, start, Now),
            Traffic = new Traffic(traffic, traffic, traffic),
        };
        var load = new LoadSnapshot(queued, TimeSpan.Zero, rate > 0 ? 1 : 0, 100, ready, starting, 8);
        var demand = Autoscaler.Decide(Slo, load, state, Now).Steps[0];
        Assert.Equal(wanted, demand.Workers);
    }

    [Fact]
    public void Slo_starts_no_worker_for_a_backlog_that_starting_workers_will_process()
    {
        var state = new ScaleState(null, 0, 100) { At = Now, Arrived = 140, Learned = new ServiceEstimates(100, 100, 5, Now) };
        var load = new LoadSnapshot(40, TimeSpan.FromSeconds(4), 0, 100, 0, 2, 8) { StartingFor = TimeSpan.FromSeconds(4) };
        var less = load with { Queued = 16, StartingFor = TimeSpan.FromSeconds(4) };
        Assert.Equal(1, Autoscaler.Decide(Slo, less, state, Now).Steps[0].Workers);
        Assert.Equal(2, Autoscaler.Decide(Slo, load, state, Now).Desired);
    }

    [Fact]
    public void Service_time_is_learned_from_slot_time_and_ended_requests()
    {
        var state = Autoscaler.Decide(Slo, Load(0, TimeSpan.Zero), ScaleState.Initial, Now).Next;
        for (var second = 1; second <= 100; second++)
            state = Autoscaler.Decide(
                Slo, Load(10 * second, TimeSpan.FromSeconds(3 * second)), state, Now.AddSeconds(second)).Next;
        Assert.Equal(0.3, state.Learned.ServiceSeconds!.Value, 3);
        Assert.Equal(10, state.Traffic.Usual.Mean, 1);

        static LoadSnapshot Load(long completed, TimeSpan served) =>
            new(0, TimeSpan.Zero, 3, completed, 1, 0, 8) { Served = served };
    }

    [Fact]
    public void Start_time_is_learned_once_per_ready_worker()
    {
        var load = new LoadSnapshot(0, TimeSpan.Zero, 0, 0, 1, 0, 8) { LastStart = TimeSpan.FromSeconds(4), LastReadyAt = Now };
        var state = Autoscaler.Decide(Slo, load, ScaleState.Initial, Now).Next;
        Assert.Equal(4, state.Learned.StartSeconds);
        state = Autoscaler.Decide(Slo, load, state, Now.AddSeconds(1)).Next;
        Assert.Equal(4, state.Learned.StartSeconds);
        var slower = load with { LastStart = TimeSpan.FromSeconds(14), LastReadyAt = Now.AddSeconds(2) };
        Assert.Equal(7, Autoscaler.Decide(Slo, slower, state, Now.AddSeconds(2)).Next.Learned.StartSeconds, 6);
    }

    [Fact]
    public void Decreased_counters_are_ignored()
    {
        var state = new ScaleState(null, 0, 100)
        {
            At = Now.AddSeconds(-1),
            Served = TimeSpan.FromSeconds(50),
            Learned = new ServiceEstimates(50, 100, 0, default),
        };
        var next = Autoscaler.Decide(Slo, new LoadSnapshot(0, TimeSpan.Zero, 0, 3, 1, 0, 8), state, Now).Next;
        Assert.Equal(state.Learned, next.Learned);
        Assert.Equal(3, next.Completed);
    }

    [Fact]
    public void A_moving_average_is_correct_from_its_first_value()
    {
        var mean = default(MovingAverage).Add(5, TimeSpan.FromSeconds(0.1), TimeSpan.FromSeconds(10));
        Assert.Equal(5, mean.Mean, 9);
        mean = mean.Add(0, TimeSpan.FromSeconds(1000), TimeSpan.FromSeconds(10));
        Assert.Equal(0, mean.Mean, 9);
    }

    [Fact]
    public void A_few_concurrent_arrivals_prove_no_rate()
    {
        var tau = TimeSpan.FromSeconds(1.5);
        Assert.Equal(0, default(MovingAverage).Add(300, TimeSpan.FromSeconds(0.01), tau).AtLeast(tau, 2));
        Assert.InRange(default(MovingAverage).Add(100, TimeSpan.FromSeconds(60), tau).AtLeast(tau, 2), 80, 95);
        Assert.InRange(default(MovingAverage).Add(0, TimeSpan.FromSeconds(60), tau).AtMost(tau, 2), 0.5, 2);
    }

    private static LoadSnapshot Steady(double concurrency, int ready) =>
        new(0, TimeSpan.Zero, (int)Math.Ceiling(concurrency), 0, ready, 0, 10);

    private static ScaleState Held(double concurrency) =>
        ScaleState.Initial with
        {
            Panic = new Panic(new MovingAverage(concurrency, 1), new MovingAverage(concurrency, 1), null, 0),
        };
}
