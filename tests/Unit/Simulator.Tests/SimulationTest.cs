using Sluice.Domain.Declarations;
using Sluice.Domain.Scaling;
using Sluice.Simulator.Scalers;
using Sluice.Simulator.Traces;

namespace Sluice.Simulator.Tests;

/// <summary>The simulator matches known results, and the SLO scaler has the documented properties.</summary>
public sealed class SimulationTest
{
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);

    public static TheoryData<Scaler> AllScalers => [.. Enum.GetValues<Scaler>()];

    [Theory]
    [InlineData(0.5, 1)]
    [InlineData(1.6, 2)]
    [InlineData(7, 9)]
    public void The_waits_of_a_fixed_fleet_match_Erlang_C(double offered, int slots)
    {
        // Exponential service times, as the formula assumes. Half a million requests give the probability with an error
        // of about 1 %.
        var random = new Random(4);
        var requests = new List<Request>();
        var at = TimeSpan.Zero;
        for (var i = 0; i < 500_000; i++) requests.Add(new Request(at += Exponential(1 / offered), Exponential(1)));
        var machine =
            new SimOptions { SlotsPerWorker = 1, Start = new LogNormal(0.001, 0), Target = TimeSpan.FromSeconds(1) };
        var endpoint = Run(new Trace("m/m/m", at, requests), new FixedFleet(slots), machine);
        Assert.Equal(ErlangC.WaitsLonger(offered, slots, 1, 1), (double)endpoint.Outcome.OverTarget / requests.Count,
            0.012);

        TimeSpan Exponential(double mean) => TimeSpan.FromSeconds(-mean * Math.Log(1 - random.NextDouble()));
    }

    [Fact]
    public void Equal_seeds_give_equal_runs()
    {
        var trace = Synthetic.Poisson(3, TimeSpan.FromMinutes(20), 0.8, 5);
        var options = new SimOptions { FailingStarts = 0.2, MeanLife = TimeSpan.FromMinutes(2) };
        var (one, other) = (Run(trace, Slo(10), options).Outcome, Run(trace, Slo(10), options).Outcome);
        Assert.Equal((one.WorkerSeconds, one.OverTarget, one.Starts),
            (other.WorkerSeconds, other.OverTarget, other.Starts));
        Assert.True(one.Deaths > 0 && one.FailedStarts > 0);
    }

    [Theory]
    [MemberData(nameof(AllScalers))]
    public void Every_request_completes_despite_worker_failures(Scaler scaler)
    {
        var trace = Synthetic.Poisson(3, TimeSpan.FromMinutes(20), 0.8, 5);
        var policy = new ScalePolicy { Scaler = scaler, Max = 10 };
        var machine = new SimOptions { FailingStarts = 0.2, MeanLife = TimeSpan.FromMinutes(2) };
        var outcome = Run(trace, new SluiceScaler(policy, "x"), machine).Outcome;
        Assert.Equal(trace.Requests.Count, outcome.Requests);
        Assert.InRange(outcome.MostWorkers, 1, 10);
    }

    [Theory]
    [MemberData(nameof(AllScalers))]
    public void A_square_wave_of_20_seconds_causes_at_most_one_scale_in_per_stable_window(Scaler scaler)
    {
        var trace = Synthetic.SquareWave("square", 8, TimeSpan.FromSeconds(20), Hour, 0.5, 12);
        foreach (var start in (double[])[0.3, 2, 6])
        {
            var policy = new ScalePolicy { Scaler = scaler, Max = 20 };
            var machine = new SimOptions { Start = new LogNormal(start, 0.25) };
            var outcome = Run(trace, new SluiceScaler(policy, "x"), machine).Outcome;
            var during = outcome.ScaleInsAt.Where(at => at < Hour.TotalSeconds).ToList();
            Assert.All(during.Zip(during.Skip(1)),
                pair => Assert.InRange(pair.Second - pair.First, 60, Hour.TotalSeconds));
        }
    }

    [Theory]
    [MemberData(nameof(AllScalers))]
    public void Five_hundred_requests_at_zero_start_no_more_workers_than_they_need(Scaler scaler)
    {
        var requests = Enumerable.Range(0, 500)
            .Select(i => new Request(TimeSpan.FromMilliseconds(i / 5.0), TimeSpan.FromSeconds(0.2)));
        var trace = new Trace("500", TimeSpan.FromMinutes(5), [.. requests]);
        var policy = new ScalePolicy { Scaler = scaler, Max = 1000, TargetUtilization = 100 };
        var outcome =
            Run(trace, new SluiceScaler(policy, "x"),
            new SimOptions { SlotsPerWorker = 8, Start = new LogNormal(5, 0.3) }).Outcome;
        Assert.Equal(500, outcome.Requests);
        Assert.InRange(outcome.Starts, 1, 63); // 500 / 8: a slot for each of them
    }

    [Fact]
    public void Learned_service_times_make_a_repeated_burst_cheaper()
    {
        var burst = Enumerable.Range(0, 500)
            .Select(i => new Request(TimeSpan.FromMilliseconds(i / 5.0), TimeSpan.FromSeconds(0.02))).ToList();
        var trace = new Trace(
            "twice", TimeSpan.FromMinutes(10),
            [.. burst, .. burst.Select(r => r with { At = r.At + TimeSpan.FromMinutes(5) })]);
        var outcome =
            Run(trace, Slo(1000), new SimOptions { SlotsPerWorker = 8, Start = new LogNormal(5, 0.3) }).Outcome;
        Assert.InRange(outcome.Starts, 64, 64 + 10); // 63 the first time; 10 s of work within a start the second time
    }

    [Fact]
    public void No_compared_scaler_beats_the_default_policy_on_the_azure_trace()
    {
        Assert.Equal(Scaler.Slo, new ScalePolicy().Scaler);
        var azure = AzureTrace.Read(Path.Combine(AppContext.BaseDirectory, "azure-llm-2023-code.csv"));
        Assert.Equal(8819, azure.Requests.Count);
        var rows = Comparison.All(azure)[0].Run();
        Assert.DoesNotContain(rows.Skip(1), rows[0].DominatedBy);
    }

    private static SluiceScaler Slo(int max) => new(new ScalePolicy { Max = max }, "Sluice SLO");

    private static SimEndpoint Run(Trace trace, IContender contender, SimOptions options)
    {
        var endpoint = new SimEndpoint(trace.Name, trace, contender, options);
        new Simulation([endpoint]).Run(trace.Length + TimeSpan.FromMinutes(2));
        return endpoint;
    }
}
