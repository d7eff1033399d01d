using HdrHistogram;
using Sluice.LoadGenerator;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Sends the requests of <see cref="GatewayOverhead"/> through the gateways of two builds, without the peers.
/// </summary>
internal static class GatewayOverheadComparison
{
    private const double StreamRate = 100;

    public static async Task RunAsync(ScenarioOptions options, CancellationToken ct)
    {
        await using var before = await StartAsync(options.Before!);
        await using var after = await StartAsync(PublishedBuild.Current);
        var comparison = new BuildComparison("gateway-overhead", options);
        foreach (var gateway in new[] { before, after })
        {
            using var warm = new ClosedLoop(ToTarget(gateway, "/"), 64);
            await warm.RunAsync(GatewayOverhead.WarmUp, ct);
        }

        foreach (var connections in GatewayOverhead.Concurrencies)
            await AddClosedLoopAsync(connections);
        await AddOpenLoopAsync(
            "Open loop: Poisson arrivals at 4,000 per second, latency from the intended start",
            GatewayOverhead.OpenLoopRate,
            "/",
            r => r.Latency);
        await AddOpenLoopAsync(
            "Open loop: streams of ten events, 100 new streams per second, latency of the first event",
            StreamRate,
            "/events",
            r => r.FirstByte);
        await comparison.WriteAsync(ct);

        GatewayProcess Find(PublishedBuild build) => build == options.Before ? before : after;

        async Task AddClosedLoopAsync(int connections)
        {
            using ClosedLoop old = new(ToTarget(before, "/"), connections);
            using ClosedLoop current = new(ToTarget(after, "/"), connections);
            var rounds = await comparison.RunAsync(
                warmUp: 1,
                b => MeasureAsync(Find(b), () => (b == options.Before ? old : current).RunAsync(options.Slice, ct)),
                ct);
            comparison.AddTable($"Closed loop, {connections} connection(s)");
            comparison.AddRow("requests/s", rounds, r => r.Load.Rate);
            AddLatencies(comparison, rounds, r => r.Latency);
        }

        async Task AddOpenLoopAsync(string title, double rate, string path, Func<LoadResult, LongHistogram> latency)
        {
            // Both builds get the same arrivals in a round.
            var started = 0;
            var rounds = await comparison.RunAsync(
                warmUp: 1,
                async b =>
                {
                    using var loop = new OpenLoop(ToTarget(Find(b), path), rate, 512, seed: started++ / 2);
                    return await MeasureAsync(Find(b), () => loop.RunAsync(options.Slice, ct));
                },
                ct);
            comparison.AddTable(title);
            AddLatencies(comparison, rounds, latency);
        }
    }

    private static void AddLatencies(
        BuildComparison comparison,
        IReadOnlyList<(Measured Before, Measured After)> rounds,
        Func<LoadResult, LongHistogram> latency)
    {
        comparison.AddRow("p50 us", rounds, r => latency(r.Load).Quantile(0.5));
        comparison.AddRow("p99 us", rounds, r => latency(r.Load).Quantile(0.99));
        comparison.AddRow("gateway's CPU us per request", rounds, r => r.Cpu, "0.0");
        comparison.AddRow("failed", rounds, r => r.Load.Failed);
    }

    private static async Task<Measured> MeasureAsync(GatewayProcess gateway, Func<Task<LoadResult>> runAsync)
    {
        var cpu = ProcessTime.Microseconds(gateway.Process.Id);
        var load = await runAsync();
        return new Measured(load, (ProcessTime.Microseconds(gateway.Process.Id) - cpu) / load.Latency.TotalCount);
    }

    private static async Task<GatewayProcess> StartAsync(PublishedBuild build)
    {
        var gateway = await GatewayProcess.StartAsync(GatewayOverhead.Manifest(), program: build.Gateway);
        await gateway.Process.LineAsync("is ready after");
        return gateway;
    }

    private static Target ToTarget(GatewayProcess gateway, string path) =>
        Target.Post(new Uri(gateway.Url, "/e/noop" + path), GatewayOverhead.Body, gateway.Key);

    /// <summary>One measurement of one build.</summary>
    /// <param name="Load">Result of the load generator.</param>
    /// <param name="Cpu">Processor time of the gateway per request, in microseconds.</param>
    private sealed record Measured(LoadResult Load, double Cpu);
}
