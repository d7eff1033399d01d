using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.LoadGenerator;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Jobs a second, from submission to stored result, on the same kind of Redis: BullMQ (adders and a worker that does nothing in one process), Sluice's
/// job engine alone (the same), and the whole product: HTTP in, a worker process that does nothing, over HTTP, with one gateway and
/// with two. All are up at once and measured in turn, round after round.
/// </summary>
public static class JobThroughput
{
    private const int Concurrency = 50;
    private const int Jobs = 20_000;

    /// <summary>Rounds that are not counted: so many until .NET has compiled anew what runs often (its own time for a job falls until then).</summary>
    private const int WarmUp = 3;

    /// <summary>Load on each gateway before that: what is hot is compiled twice (to be counted, then for good): 16 s where load leaves no processor.</summary>
    private static readonly TimeSpan GatewayWarmUp = TimeSpan.FromSeconds(20);

    private static readonly string[] Names =
    [
        "BullMQ 6.7, removes what ended", "Sluice's job engine, removes", "BullMQ 6.7, keeps all", "Sluice's job engine, keeps all",
        "Sluice, one gateway over HTTP", "Sluice, two gateways over HTTP",
    ];

    /// <summary>What each is compared with.</summary>
    private static readonly int[] Peers = [0, 0, 2, 2, 0, 0];

    public static async Task RunAsync(ScenarioOptions options, CancellationToken ct)
    {
        // Servers with the same settings: a second gateway would take part in the work of the one, and any gateway in the engine's.
        var (bare, forOne, forTwo) = (new RedisFixture(), new RedisFixture(), new RedisFixture());
        RedisFixture[] all = [bare, forOne, forTwo];
        foreach (var redis in all) await redis.InitializeAsync();
        var port = FreePort();
        var folder = Path.Combine(Repository.Root, "loadtests", "Peers", "bullmq");
        await using var bull = new ChildProcess("/usr/bin/env", ["node", Path.Combine(folder, "bench.mjs"), $"{port}", $"{bare.Port}", RedisFixture.Password],
            new Dictionary<string, string?>());
        await bull.LineAsync("ready");
        await using JobEngine sweeping = new(bare.Store, "sweeping", sweeps: true), keeping = new(bare.Store, "keeping", sweeps: false);
        foreach (var engine in new[] { sweeping, keeping }) await engine.StartAsync(Concurrency);
        await using var one = await GatewayAsync(forOne);
        await using var a = await GatewayAsync(forTwo);
        await using var b = await GatewayAsync(forTwo);
        foreach (var gateway in new[] { one, a }) await gateway.Process.LineAsync("is ready after");
        using var http = new HttpClient { Timeout = TimeSpan.FromMinutes(2) };
        var costs = new StringBuilder();

        var measures = new Func<Task<double>>[]
        {
            () => BullAsync(""),
            () => sweeping.RunAsync(Jobs, Concurrency),
            () => BullAsync("&keep"),
            () => keeping.RunAsync(Jobs, Concurrency),
            () => ThroughAsync([one], options.Slice, ct),
            () => ThroughAsync([a, b], options.Slice, ct),
        };
        for (var warm = TimeSpan.Zero; warm < GatewayWarmUp; warm += options.Slice)
        {
            await ThroughAsync([one], options.Slice, ct);
            await ThroughAsync([a, b], 2 * options.Slice, ct);
        }

        var rounds = new List<double[]>();
        var last = WarmUp + options.Rounds - 1;
        for (var round = 0; round <= last; round++)
        {
            var rates = new double[Names.Length];
            for (var i = 0; i < Names.Length; i++)
            {
                var which = (i + round) % Names.Length;
                var before = await Cost.ReadAsync(all[Math.Max(0, which - 3)], bull.Id);
                rates[which] = await measures[which]();
                var cost = (await Cost.ReadAsync(all[Math.Max(0, which - 3)], bull.Id)).Since(before);
                if (round == last) costs.AppendLine(Costs(which, cost, which < 4 ? Jobs : rates[which] * cost.Seconds));
            }

            if (round >= WarmUp) rounds.Add(rates);
            Console.Error.WriteLine($"round {round}: {string.Join(", ", rates.Select(r => r.ToString("n0", CultureInfo.InvariantCulture)))}");
        }

        var text = Table(options, rounds, costs);
        Console.WriteLine(text);
        if (options.Out is { } file) await File.WriteAllTextAsync(file, text, ct);
        foreach (var redis in all) await redis.DisposeAsync();

        async Task<double> BullAsync(string more) => double.Parse(
            await http.GetStringAsync(new Uri($"http://127.0.0.1:{port}/?jobs={Jobs}&concurrency={Concurrency}{more}"), ct), CultureInfo.InvariantCulture);
    }

    private static string Table(ScenarioOptions options, List<double[]> rounds, StringBuilder costs)
    {
        var text = new StringBuilder($"# job-throughput\n\n{Machine.Describe("make load-jobs")}\n")
            .Append(CultureInfo.InvariantCulture, $"{options.Rounds} rounds after {WarmUp} of warming up ({GatewayWarmUp.TotalSeconds:0} s before for each gateway); ")
            .Append("medians; ratios of each round's own, with their range.\n\n")
            .Append("| | jobs/s | against BullMQ |\n|---|---|---|\n");
        for (var i = 0; i < Names.Length; i++)
        {
            var rates = rounds.Select(r => r[i]).Order().ToList();
            var ratios = rounds.Select(r => r[i] / r[Peers[i]]).Order().ToList();
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {Names[i]} | {rates[rates.Count / 2]:n0} | {ratios[ratios.Count / 2]:0.00} ({ratios[0]:0.00}-{ratios[^1]:0.00}) |");
        }

        return text.Append("\nA job's cost (last round; Redis' own counters; pollers and renewals included):\n\n")
            .Append("| | scripts and commands received | bytes in | bytes out | us of CPU: Redis | BullMQ, engine or load | gateways | workers |\n")
            .Append("|---|---|---|---|---|---|---|---|\n").Append(costs).ToString();
    }

    /// <summary>Submits by as many connections as BullMQ has adders, and counts what has completed when the last one has.</summary>
    private static async Task<double> ThroughAsync(GatewayProcess[] gateways, TimeSpan slice, CancellationToken ct)
    {
        var before = await CompletedAsync(gateways[0]);
        var started = Stopwatch.GetTimestamp();
        var loops = gateways.Select(g => Target.Post(new Uri(g.Url, "/v2/noop/run"), """{"input":{"x":1}}""", g.Key))
            .Select(t => new ClosedLoop(t, Concurrency / gateways.Length)).ToList();
        var results = await Task.WhenAll(loops.Select(l => l.RunAsync(slice, ct)));
        foreach (var loop in loops) loop.Dispose();
        var accepted = results.Sum(r => r.Latency.Count);
        if (results.Sum(r => r.Failed) > 0) throw new InvalidOperationException($"{results.Sum(r => r.Failed)} submissions failed");
        while (await CompletedAsync(gateways[0]) - before < accepted) await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, ct);
        return accepted / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private static async Task<long> CompletedAsync(GatewayProcess gateway) => (long)(await gateway.GetAsync("/v2/noop/health"))["jobs"]!["completed"]!;

    private static Task<GatewayProcess> GatewayAsync(RedisFixture redis) => GatewayProcess.StartAsync($$"""
        templates:
          - name: noop
            command: ["{{Path.Combine(Repository.Root, "loadtests", "Peers", "NoopWorker", "bin", "Release", "net10.0", "Sluice.NoopWorker")}}"]
            readyPath: /ready
            handlerPath: /
            concurrency: {{Concurrency}}
        endpoints:
          - { id: noop, template: noop, scaling: { min: 1, max: 1 }, jobs: { retention: 60s } }
        """, environment: new Dictionary<string, string?>
        {
            ["SLUICE_REDIS"] = redis.ConnectionString, ["SLUICE_ADMIN_KEY"] = "one-admin-key-of-all-gateways",
            ["SLUICE_PAYLOADS"] = Path.Combine(Path.GetTempPath(), "sluice-payloads-" + redis.Port),
        });

    private static string Costs(int which, Cost cost, double jobs) => string.Create(CultureInfo.InvariantCulture,
        $"| {Names[which]} | {cost.Commands / jobs:0.0} | {cost.In / jobs:0} | {cost.Out / jobs:0} | {cost.Redis * 1e6 / jobs:0} | "
        + $"{(which is 0 or 2 ? cost.Peer : cost.Own) * 1e6 / jobs:0} | {cost.Gateways * 1e6 / jobs:0} | {cost.Workers * 1e6 / jobs:0} |");

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>What Redis and the processes had done by a moment: commands, bytes, seconds.</summary>
    private sealed record Cost(double Commands, double In, double Out, double Redis, double Peer, double Own, double Gateways, double Workers, double Seconds)
    {
        public static async Task<Cost> ReadAsync(RedisFixture redis, int peer)
        {
            var info = (string)await redis.Store.Database.ExecuteAsync("INFO", "everything")!;
            var values = info.Split('\n').Where(l => l.Contains(':', StringComparison.Ordinal)).Select(l => l.Trim().Split(':', 2))
                .DistinctBy(p => p[0]).ToDictionary(p => p[0], p => p[1]);
            double Number(string name) => double.Parse(values[name], CultureInfo.InvariantCulture);
            return new Cost(Number("total_commands_processed"), Number("total_net_input_bytes"), Number("total_net_output_bytes"),
                Number("used_cpu_user") + Number("used_cpu_sys"), Cpu(Process.GetProcessById(peer)), Cpu(Process.GetCurrentProcess()),
                Process.GetProcessesByName("Sluice.Gateway").Sum(Cpu), Process.GetProcessesByName("Sluice.NoopWorker").Sum(Cpu),
                TimeProvider.System.GetTimestamp() / (double)TimeProvider.System.TimestampFrequency);
        }

        public Cost Since(Cost then) => new(Commands - then.Commands, In - then.In, Out - then.Out, Redis - then.Redis, Peer - then.Peer, Own - then.Own,
            Gateways - then.Gateways, Workers - then.Workers, Seconds - then.Seconds);

        private static double Cpu(Process process)
        {
            using (process) return process.TotalProcessorTime.TotalSeconds;
        }
    }
}
