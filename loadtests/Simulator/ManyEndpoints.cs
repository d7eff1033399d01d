using System.Diagnostics;
using System.Globalization;
using Sluice.Domain.Declarations;
using Sluice.Domain.Gpus;
using Sluice.Simulator.Scalers;
using Sluice.Simulator.Traces;

namespace Sluice.Simulator;

/// <summary>
/// Simulates many endpoints that compete for one set of GPUs, each with its own traffic. It measures how Sluice's
/// scaling decision and placement behave in a large installation, and how long they take.
/// </summary>
public static class ManyEndpoints
{
    private static readonly GpuRequirements OneGpu = new();

    /// <summary>Runs the simulation and returns a report.</summary>
    /// <param name="endpoints">Number of endpoints.</param>
    /// <param name="gpus">Number of GPUs, one per worker.</param>
    /// <param name="length">Virtual duration.</param>
    public static string Run(int endpoints, int gpus, TimeSpan length)
    {
        var began = Stopwatch.GetTimestamp();
        var file = string.Create(CultureInfo.InvariantCulture,
            $$"""{"gpus":[{"name":"NVIDIA L4","count":{{gpus}}}]}""");
        var (inventory, errors) = InventoryFile.Parse(file, "simulated");
        if (inventory is null) throw new InvalidOperationException(string.Join('\n', errors));
        // The endpoints require about 60 % of the GPUs on average, each in its own wave.
        const double service = 20;
        var machine = new SimOptions { Start = new LogNormal(8, 0.25) };
        var each = 0.6 * gpus / endpoints * machine.SlotsPerWorker / service;
        var policy = new ScalePolicy { Scaler = Scaler.Slo, Max = Math.Max(1, 4 * gpus / endpoints) };
        var all = Enumerable.Range(0, endpoints).Select(CreateEndpoint).ToList();
        var placer = new GpuPlacer(inventory, _ => OneGpu);
        var simulation = new Simulation(all, placer);
        var made = Stopwatch.GetElapsedTime(began);
        simulation.Run(length);
        var took = Stopwatch.GetElapsedTime(began) - made;
        var outcomes = all.ConvertAll(e => e.Outcome);
        var over = outcomes.Sum(o => o.OverTarget);
        var requests = outcomes.Sum(o => o.Requests);
        return string.Create(CultureInfo.InvariantCulture, $"""

            ## {endpoints:n0} endpoints on {gpus:n0} GPUs

            {length.TotalMinutes:0} minutes of virtual time in **{took.TotalSeconds:0.0} s**
            (and {made.TotalSeconds:0.0} s to create the traces):
            {simulation.Events:n0} events, {requests:n0} requests,
            {outcomes.Sum(o => (long)o.Looks):n0} decisions, {placer.Rounds:n0} rounds of placement,
            {outcomes.Sum(o => o.Starts):n0} workers started, at most {simulation.MostWorkers:n0} concurrently;
            {outcomes.Sum(o => (long)o.NoCapacity):n0} requests for a GPU found none;
            {100.0 * over / Math.Max(1, requests):0.0} % of the requests waited longer
            than {machine.Target.TotalSeconds:0.#} s.

            """);

        SimEndpoint CreateEndpoint(int i)
        {
            var trace = Synthetic.Make($"e{i}", length, 2 * each, Rate, service, i);
            return new SimEndpoint($"e{i}", trace, new SluiceScaler(policy, "Sluice SLO"), machine with { Seed = i });

            double Rate(TimeSpan t) =>
                each * (1 + 0.9 * Math.Sin(2 * Math.PI * (t / TimeSpan.FromMinutes(5) + i / 7.0)));
        }
    }
}
