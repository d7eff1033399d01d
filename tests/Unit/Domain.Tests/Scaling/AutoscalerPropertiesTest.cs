using FsCheck;
using FsCheck.Fluent;
using Sluice.Domain.Declarations;
using Sluice.Domain.Scaling;
using Sluice.Testing;

namespace Sluice.Domain.Tests.Scaling;

/// <summary>Properties of decisions for every policy and every load.</summary>
public sealed class AutoscalerPropertiesTest
{
    private static readonly int Runs = RandomCases.Count(2000);

    private static readonly DateTimeOffset Start = new(2026, 1, 1, 23, 58, 0, TimeSpan.Zero);

    private static readonly Gen<LoadSnapshot> AnyLoad =
        from queued in Gen.Choose(0, 200)
        from busy in Gen.Choose(0, 80)
        from ended in Gen.Choose(0, 50)
        from served in Gen.Choose(0, 20_000)
        from oldest in Gen.Choose(0, 20_000)
        from age in Gen.Choose(0, 30)
        from flight in Gen.Choose(0, 50_000)
        from waiting in Gen.Choose(0, 500)
        from room in Gen.Elements(0, 1, 8192)
        select Asks(queued, oldest, busy, ended, served, age) with
        {
            TokensInFlight = flight, TokensWaiting = (long)queued * waiting, TokensPerWorker = room,
        };

    private static readonly Gen<ScalePolicy> AnyPolicy =
        from scaler in Gen.Elements(Enum.GetValues<Scaler>())
        from min in Gen.Choose(0, 4)
        from more in Gen.Choose(0, 30)
        from buffer in Gen.Choose(0, 2)
        from step in Gen.Choose(0, 3)
        from idle in Gen.Choose(1, 90)
        from delay in Gen.Choose(0, 40)
        from tokens in Gen.Frequency((2, Gen.Constant(0)), (1, Gen.Choose(1, 20_000)))
        from limited in Gen.Frequency((4, Gen.Constant(false)), (1, Gen.Constant(true)))
        select new ScalePolicy
        {
            Scaler = scaler, TargetTokens = tokens,
            Min = min, Max = min + more, Buffer = Math.Min(buffer, min + more), MaxStep = step,
            IdleTimeout = TimeSpan.FromSeconds(idle), ScaleInDelay = TimeSpan.FromSeconds(delay),
            DailyWorkerTime = limited ? TimeSpan.FromSeconds(500) : TimeSpan.Zero,
        };

    public static TheoryData<Scaler> AllScalers => [.. Enum.GetValues<Scaler>()];

    /// <summary>
    /// A policy and a load per second. After each second the requested workers start, and some become ready.
    /// </summary>
    public sealed record Run(ScalePolicy Policy, List<LoadSnapshot> Loads);

    [Fact]
    public void The_result_is_between_min_and_max_unless_the_daily_limit_is_reached() => For((policy, _, decision) =>
        decision.Desired <= policy.Max
            && (decision.Desired >= policy.Min || decision.Refuses is not null || policy.MaxStep > 0));

    [Fact]
    public void The_last_step_is_the_result_and_every_step_has_a_known_name() => For((_, _, decision) =>
        decision.Steps[^1].Workers == decision.Desired && decision.Steps.All(s => ScaleSteps.All.Contains(s.Name))
        && decision.Steps.Select(s => ScaleSteps.All.ToList().IndexOf(s.Name))
            .Zip(decision.Steps.Skip(1).Select(s => ScaleSteps.All.ToList().IndexOf(s.Name)))
            .All(pair => pair.First <= pair.Second
                || pair.Second == ScaleSteps.All.ToList().IndexOf(ScaleSteps.Bounds)));

    [Fact]
    public void The_step_limit_bounds_the_added_workers() => For((policy, load, decision) =>
        policy.MaxStep == 0 || decision.Desired <= load.Current + policy.MaxStep);

    [Fact]
    public void A_waiting_request_gets_at_least_one_worker() => For((policy, load, decision) =>
        load.Queued == 0 || policy.Max == 0 || decision.Refuses is not null || decision.Desired >= 1);

    [Theory]
    [MemberData(nameof(AllScalers))]
    public void Without_traffic_every_scaler_reaches_its_minimum(Scaler scaler)
    {
        var policy = new ScalePolicy { Scaler = scaler, Max = 30, IdleTimeout = TimeSpan.FromSeconds(60) };
        var (state, now, completed) = (ScaleState.Initial, Start, 0L);
        var workers = 0;
        for (var second = 0; second < 7200; second += 5)
        {
            now = now.AddSeconds(5);
            var busy = second < 600 ? 4 * workers : 0;
            completed += busy;
            var load = new LoadSnapshot(second < 600 ? 40 : 0, TimeSpan.Zero, busy, completed, workers, 0, 4)
            {
                Served = TimeSpan.FromSeconds(completed),
            };
            var decision = Autoscaler.Decide(policy, load, state, now);
            (state, workers) = (decision.Next, decision.Desired);
            Assert.True(second >= 600 || workers > 0, $"{second} s: {workers} workers");
        }

        Assert.Equal(0, workers);
    }

    [Fact]
    public void Started_workers_are_not_started_again_at_the_next_pass() => For((policy, load, decision) =>
    {
        if (decision.Desired <= load.Current) return true;
        var ordered = load with { Starting = decision.Desired - load.Ready };
        var again = Autoscaler.Decide(policy, ordered, decision.Next, decision.Next.At!.Value);
        return again.Desired <= Math.Max(decision.Desired, ordered.Current);
    });

    [Theory]
    [MemberData(nameof(AllScalers))]
    public void More_waiting_requests_never_reduce_the_workers(Scaler scaler) => For((policy, load, decision) =>
    {
        var of = policy with { Scaler = scaler, MaxStep = 0 };
        var less = Autoscaler.Decide(of, load, decision.Next, decision.Next.At!.Value);
        var more = Autoscaler.Decide(
            of, load with { Queued = load.Queued + 7 }, decision.Next, decision.Next.At!.Value);
        return more.Desired >= less.Desired;
    });

    [Fact]
    public void More_tokens_never_reduce_the_workers() => For((policy, load, decision) =>
    {
        var of = policy with { Scaler = Scaler.Tokens, MaxStep = 0 };
        var less = Autoscaler.Decide(of, load, decision.Next, decision.Next.At!.Value);
        var more = Autoscaler.Decide(of, load with
        {
            TokensInFlight = load.TokensInFlight + 5000, TokensWaiting = load.TokensWaiting + 3000,
        }, decision.Next, decision.Next.At!.Value);
        return more.Desired >= less.Desired;
    });

    [Fact]
    public void Every_number_in_the_state_is_finite() => For((_, _, decision) =>
        double.IsFinite(decision.Next.Traffic.Now.Mean) && double.IsFinite(decision.Next.Learned.ServedSeconds)
        && double.IsFinite(decision.Next.Panic.Stable.Mean) && decision.Next.Spending.Used >= TimeSpan.Zero);

    private static LoadSnapshot Asks(int queued, int oldestMs, int busy, int ended, int servedMs, int age) =>
        new(queued, TimeSpan.FromMilliseconds(queued > 0 ? oldestMs : 0), busy, ended, 0, 0, 4)
        {
            Served = TimeSpan.FromMilliseconds(servedMs), StartingFor = TimeSpan.FromSeconds(age),
        };

    private static void For(Func<ScalePolicy, LoadSnapshot, ScaleDecision, bool> holds)
    {
        var runs = from policy in AnyPolicy from loads in Gen.ListOf(AnyLoad).Resize(25)
            select new Run(policy, [.. loads]);
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(Runs), Prop.ForAll(Arb.From(runs), run => Play(run, holds)));
    }

    private static bool Play(Run run, Func<ScalePolicy, LoadSnapshot, ScaleDecision, bool> holds)
    {
        var (state, now, ready, starting) = (ScaleState.Initial, Start, 0, 0);
        var (completed, served) = (0L, TimeSpan.Zero);
        foreach (var random in run.Loads)
        {
            now = now.AddSeconds(7);
            completed += random.Completed;
            served += random.Served;
            var load = random with
            {
                Busy = Math.Min(random.Busy, 4 * ready), Ready = ready, Starting = starting, Completed = completed,
                Served = served,
                WorkerTime = 7 * TimeSpan.FromSeconds(ready + starting),
            };
            var decision = Autoscaler.Decide(run.Policy, load, state, now);
            if (!holds(run.Policy, load, decision)) return false;
            state = decision.Next;
            (ready, starting) = decision.Desired >= load.Current
                ? (ready + (starting + 1) / 2, decision.Desired - ready - (starting + 1) / 2)
                : (Math.Min(ready, decision.Desired), Math.Max(0, decision.Desired - ready));
        }

        return true;
    }
}
