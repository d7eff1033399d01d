using Sluice.Simulator.Scalers;
using Sluice.Simulator.Traces;

namespace Sluice.Simulator.Tests;

/// <summary>The Knative scaler behaves like the source of Knative's pod autoscaler: one test per rule.</summary>
public sealed class KnativeScalerTest
{
    private static readonly SimOptions Machine = new() { SlotsPerWorker = 10, Start = new LogNormal(0.001, 0) };

    [Fact]
    public void From_zero_the_activator_triggers_it_immediately() =>
        Assert.InRange(Run(1, 1, TimeSpan.FromSeconds(5)).Outcome.Wait(1), 0, 0.01);

    [Fact]
    public void In_the_steady_state_it_divides_the_mean_by_seventy_percent() =>
        Assert.Equal(6, Run(36, 300, TimeSpan.FromSeconds(200)).Workers.Count(w => !w.Drained)); // 36 / 7

    [Fact]
    public void It_scales_to_zero_after_an_empty_stable_window()
    {
        var endpoint = Run(5, 10, TimeSpan.FromSeconds(90));
        Assert.Empty(endpoint.Workers);
        Assert.InRange(endpoint.Outcome.Fleet[^1].At, 69, 75);
    }

    [Fact]
    public void There_is_no_scale_in_during_a_panic()
    {
        var endpoint = Run(60, 20, TimeSpan.FromSeconds(60));
        Assert.Equal(0, endpoint.Outcome.ScaleIns);
        Assert.Equal(endpoint.Outcome.MostWorkers, endpoint.Workers.Count);
    }

    /// <summary>Sends the given number of concurrent requests for the given time, each followed by the next.</summary>
    private static SimEndpoint Run(int atOnce, int seconds, TimeSpan length)
    {
        var requests = Enumerable.Range(0, seconds)
            .SelectMany(s =>
                Enumerable.Repeat(new Request(TimeSpan.FromSeconds(s), TimeSpan.FromSeconds(0.999)), atOnce));
        var trace = new Trace("steady", length, [.. requests.Where(r => r.At < length)]);
        var endpoint = new SimEndpoint("steady", trace, new KnativeScaler(0, 100), Machine);
        new Simulation([endpoint]).Run(length);
        return endpoint;
    }
}
