using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Sluice.LoadGenerator;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Measures the cost of the gateway: the same tiny request to a worker that does nothing, directly, through bare YARP
/// over HTTP/1.1 and over h2c, and through Sluice. All four run at the same time and are measured in turn, round by
/// round, in a rotating order, so that a change of the machine's speed affects all of them.
/// </summary>
public static class GatewayOverhead
{
    internal const string Body = """{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1.0]}]}""";
    internal const double OpenLoopRate = 4000;

    internal static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(12);

    private static readonly double[] Quantiles = [0.5, 0.9, 0.99, 0.999];
    internal static readonly int[] Concurrencies = [1, 16, 64, 256];
    private static readonly string[] Names = ["direct HTTP/1.1", "bare YARP, HTTP/1.1", "bare YARP, h2c", "Sluice (h2c)"];

    public static async Task RunAsync(ScenarioOptions options, CancellationToken ct)
    {
        if (options.Before is not null)
        {
            await GatewayOverheadComparison.RunAsync(options, ct);
            return;
        }

        int[] ports = [FreePort(), FreePort(), FreePort(), FreePort()];
        await using var worker = Peer("NoopWorker", ("PORT", ports[0]), ("HTTP1_PORT", ports[1]));
        await worker.LineAsync("ready");
        await using var yarp = Proxy("BareYarp", ("PORT_H2C", ports[2]), ("PORT_HTTP1", ports[3]), ("UPSTREAM_H2C", ports[0]), ("UPSTREAM_HTTP1", ports[1]));
        await yarp.LineAsync("ready");
        await using var gateway = await GatewayProcess.StartAsync(Manifest());
        await gateway.Process.LineAsync("is ready after");

        Target[] plain = [.. Targets("/")];
        var table = new StringBuilder($"""
            # gateway-overhead

            {Machine.Describe()}
            Rounds: {options.Rounds} of {options.Slice.TotalSeconds:0.#} s for each cell, interleaved, after {WarmUp.TotalSeconds:0} s of warming up each
            (the runtime compiles what is hot).

            """);
        await WarmAsync(plain, ct);
        await ClosedAsync(plain, options, table, ct);
        await OpenAsync(plain, options, table, "## Open loop: Poisson arrivals at 4,000 a second, latency from the intended start", OpenLoopRate, false, ct);
        await OpenAsync([.. Targets("/events")], options, table, "## Open loop: streams of ten events, one each 20 ms, 100 new streams a second", 100, true, ct);
        Console.WriteLine(table);
        if (options.Out is { } file) await File.WriteAllTextAsync(file, table.ToString(), ct);

        IEnumerable<Target> Targets(string path) =>
        [
            Target.Post(new Uri($"http://127.0.0.1:{ports[1]}{path}"), Body),
            Target.Post(new Uri($"http://127.0.0.1:{ports[3]}{path}"), Body),
            Target.Post(new Uri($"http://127.0.0.1:{ports[2]}{path}"), Body),
            Target.Post(new Uri(gateway.Url, "/e/noop" + path), Body, gateway.Key),
        ];
    }

    private static async Task WarmAsync(Target[] targets, CancellationToken ct)
    {
        foreach (var target in targets)
        {
            using var loop = new ClosedLoop(target, 64);
            await loop.RunAsync(WarmUp, ct);
        }
    }

    private static async Task ClosedAsync(Target[] targets, ScenarioOptions options, StringBuilder table, CancellationToken ct)
    {
        table.Append("\n## Closed loop\n\nMedian over the rounds; ratios are medians of each round's own ratio, with their range.\n");
        foreach (var concurrency in Concurrencies)
        {
            var loops = targets.Select(t => new ClosedLoop(t, concurrency)).ToArray();
            var rounds = await RoundsAsync(options, i => loops[i].RunAsync(options.Slice, ct), ct);
            table.Append(CultureInfo.InvariantCulture, $"\n### {concurrency} connection(s)\n\n")
                .Append("| | requests/s | p50 us | p99 us | against YARP HTTP/1.1 | against YARP h2c | p50 - YARP h2c, us | failed |\n")
                .Append("|---|---|---|---|---|---|---|---|\n");
            for (var i = 0; i < Names.Length; i++) table.AppendLine(Row(i, rounds));

            foreach (var loop in loops) loop.Dispose();
            Console.Error.WriteLine($"closed loop, {concurrency} connections: done");
        }
    }

    private static string Row(int i, List<LoadResult[]> rounds)
    {
        string[] cells =
        [
            Names[i],
            Number("n0", Median(rounds, r => r[i].Rate)),
            Number("0", Median(rounds, r => r[i].Latency.Quantile(0.5))),
            Number("0", Median(rounds, r => r[i].Latency.Quantile(0.99))),
            Ratio(rounds, r => r[i].Rate / r[1].Rate),
            Ratio(rounds, r => r[i].Rate / r[2].Rate),
            Number("+0;-0;0", Median(rounds, r => r[i].Latency.Quantile(0.5) - r[2].Latency.Quantile(0.5))),
            Number("0", rounds.Sum(r => r[i].Failed)),
        ];
        return $"| {string.Join(" | ", cells)} |";
    }

    private static string Number(string format, double value) => value.ToString(format, CultureInfo.InvariantCulture);

    private static async Task OpenAsync(Target[] targets, ScenarioOptions options, StringBuilder table, string title, double rate, bool stream, CancellationToken ct)
    {
        var seed = 0;
        var totals = targets.Select(_ => new LoadResult()).ToArray();
        await RoundsAsync(options, async i =>
        {
            using var loop = new OpenLoop(targets[i], rate, 512, ++seed);
            var result = await loop.RunAsync(options.Slice, ct);
            totals[i].Merge(result);
            return result;
        }, ct, () => totals = [.. targets.Select(_ => new LoadResult())]);
        table.Append($"\n{title}\n\nAll rounds together, us{(stream ? " to the first event" : "")}. ")
            .Append("The generator's own lateness is in the figures and in the last column.\n\n")
            .Append("| | requests | p50 | p90 | p99 | p99.9 | failed | generator late, p99 |\n|---|---|---|---|---|---|---|---|\n");
        for (var i = 0; i < Names.Length; i++)
        {
            var histogram = stream ? totals[i].FirstByte : totals[i].Latency;
            double[] cells = [histogram.TotalCount, .. Quantiles.Select(histogram.Quantile), totals[i].Failed,
                totals[i].Lateness.Quantile(0.99)];
            table.AppendLine(CultureInfo.InvariantCulture, $"| {Names[i]} | {string.Join(" | ", cells.Select(c => Number("n0", c)))} |");
        }

        Console.Error.WriteLine($"{title}: done");
    }

    /// <summary>Every target in every round, in an order that turns; the first round only warms up.</summary>
    private static async Task<List<LoadResult[]>> RoundsAsync(ScenarioOptions options, Func<int, Task<LoadResult>> run, CancellationToken ct, Action? warmed = null)
    {
        var rounds = new List<LoadResult[]>();
        for (var round = 0; round <= options.Rounds; round++)
        {
            ct.ThrowIfCancellationRequested();
            var results = new LoadResult[Names.Length];
            for (var i = 0; i < Names.Length; i++)
            {
                var target = (i + round) % Names.Length;
                results[target] = await run(target);
            }

            if (round == 0) warmed?.Invoke();
            else rounds.Add(results);
        }

        return rounds;
    }

    private static double Median(List<LoadResult[]> rounds, Func<LoadResult[], double> value)
    {
        var all = rounds.Select(value).Order().ToList();
        return all[all.Count / 2];
    }

    private static string Ratio(List<LoadResult[]> rounds, Func<LoadResult[], double> value) => string.Create(CultureInfo.InvariantCulture,
        $"{Median(rounds, value):0.00} ({rounds.Min(value):0.00}-{rounds.Max(value):0.00})");

    internal static string Manifest() => $$"""
        templates:
          - name: noop
            command: ["{{Program("NoopWorker")}}"]
            readyPath: /ready
            concurrency: 1000
        endpoints:
          - { id: noop, template: noop, scaling: { min: 1, max: 1 } }
        """;

    /// <summary>
    /// In a session of its own, as the gateway starts its workers: Linux shares the cores between sessions
    /// (sched_autogroup), and a worker that shares one with its load is woken less often and looks 1.5 times as fast.
    /// </summary>
    private static ChildProcess Peer(string name, params (string Name, int Port)[] ports) =>
        new("/usr/bin/setsid", [Program(name)], ports.ToDictionary(p => p.Name, p => (string?)p.Port.ToString(CultureInfo.InvariantCulture)));

    private static ChildProcess Proxy(string name, params (string Name, int Port)[] ports) =>
        new(Program(name), [], ports.ToDictionary(p => p.Name, p => (string?)p.Port.ToString(CultureInfo.InvariantCulture)));

    internal static string Program(string name) =>
        Path.Combine(Repository.Root, "loadtests", "Peers", name, "bin", "Release", "net10.0", "Sluice." + name);

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
