using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Runs the jobs of <see cref="JobThroughput"/> over HTTP through one gateway and through two gateways of two builds,
/// without the peers. Each pair of build and number of gateways has its own Redis.
/// </summary>
internal static class JobThroughputComparison
{
    public static async Task RunAsync(ScenarioOptions options, CancellationToken ct)
    {
        var comparison = new BuildComparison("job-throughput", options);
        foreach (var gateways in options.Gateways is { } only ? [only] : new[] { 1, 2 })
        {
            await using var before = await Site.StartAsync(options.Before!, gateways);
            await using var after = await Site.StartAsync(PublishedBuild.Current, gateways);
            // In slices: one long load would fill the queue up to its limit.
            for (var warm = TimeSpan.Zero; warm < JobThroughput.GatewayWarmUp; warm += options.Slice)
                foreach (var site in new[] { before, after })
                    await JobThroughput.ThroughAsync(site.Gateways, gateways * options.Slice, ct);
            var rounds = await comparison.RunAsync(
                JobThroughput.WarmUp,
                b => (b == options.Before ? before : after).MeasureAsync(options.Slice, ct),
                ct);
            comparison.AddTable(gateways == 1 ? "One gateway over HTTP" : "Two gateways over HTTP");
            comparison.AddRow("jobs/s", rounds, r => r.Rate);
            comparison.AddRow("gateways' CPU us per job", rounds, r => r.GatewayCpu);
            comparison.AddRow("Redis' CPU us per job", rounds, r => r.RedisCpu, "0.0");
            comparison.AddRow("scripts and commands per job", rounds, r => r.Commands, "0.00");
            comparison.AddRow("bytes into Redis per job", rounds, r => r.BytesIn);
            comparison.AddRow("bytes out of Redis per job", rounds, r => r.BytesOut);
        }

        await comparison.WriteAsync(ct);
    }

    /// <summary>The gateways of one build on their own Redis.</summary>
    private sealed class Site(RedisFixture redis, GatewayProcess[] gateways) : IAsyncDisposable
    {
        public GatewayProcess[] Gateways => gateways;

        public static async Task<Site> StartAsync(PublishedBuild build, int count)
        {
            var redis = new RedisFixture();
            await redis.InitializeAsync();
            var gateways = new GatewayProcess[count];
            for (var i = 0; i < count; i++) gateways[i] = await JobThroughput.GatewayAsync(redis, build.Gateway);
            // The first one is the leader, which starts the worker.
            await gateways[0].Process.LineAsync("is ready after");
            return new Site(redis, gateways);
        }

        public async Task<Measured> MeasureAsync(TimeSpan slice, CancellationToken ct)
        {
            var before = await RedisCounters.ReadAsync(redis);
            var cpu = Cpu();
            var load = await JobThroughput.ThroughAsync(gateways, slice, ct);
            var used = Cpu() - cpu;
            var after = await RedisCounters.ReadAsync(redis);
            return new Measured(
                load.Rate,
                used / load.Jobs,
                (after.CpuSeconds - before.CpuSeconds) * 1e6 / load.Jobs,
                (after.Commands - before.Commands) / load.Jobs,
                (after.BytesIn - before.BytesIn) / load.Jobs,
                (after.BytesOut - before.BytesOut) / load.Jobs);
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var gateway in gateways) await gateway.DisposeAsync();
            await redis.DisposeAsync();
        }

        private double Cpu() => gateways.Sum(g => ProcessTime.Microseconds(g.Process.Id));
    }

    /// <summary>One measurement of one build. All costs are per job; processor times are in microseconds.</summary>
    private sealed record Measured(
        double Rate,
        double GatewayCpu,
        double RedisCpu,
        double Commands,
        double BytesIn,
        double BytesOut);
}
