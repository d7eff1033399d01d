using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.LoadGenerator;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Measures jobs per second, from submission to stored result, on the same kind of Redis: BullMQ (adders and a worker
/// that does nothing in one process) and Sluice's job engine alone (the same); and with HTTP in and a worker process
/// that does nothing, over HTTP: BullMQ with a process on each side, and the whole product, with one gateway and with
/// two. All run at the same time and are measured in turn, round by round.
/// </summary>
public static class JobThroughput
{
    private const int Concurrency = 50;
    private const int Jobs = 20_000;
    private const string Body = """{"input":{"x":1}}""";

    /// <summary>
    /// Rounds that are not counted: until then .NET has recompiled the frequent code, and its own time per job falls.
    /// </summary>
    internal const int WarmUp = 3;

    /// <summary>
    /// Load on each gateway before those rounds. .NET compiles frequent code twice, first with counters and then
    /// optimized: 16 s where the load leaves no free processor.
    /// </summary>
    internal static readonly TimeSpan GatewayWarmUp = TimeSpan.FromSeconds(20);

    private static string Noop => Path.Combine(Repository.Root, "loadtests", "Peers", "NoopWorker", "bin", "Release", "net10.0", "Sluice.NoopWorker");

    public static async Task RunAsync(ScenarioOptions options, CancellationToken ct)
    {
        if (options.Before is not null)
        {
            await JobThroughputComparison.RunAsync(options, ct);
            return;
        }

        // Separate servers: a second gateway would take part in the work of the one, and any gateway in the engine's.
        var (bare, forOne, forTwo) = (new RedisFixture(), new RedisFixture(), new RedisFixture());
        RedisFixture[] servers = [bare, forOne, forTwo];
        foreach (var redis in servers) await redis.InitializeAsync();
        var port = FreePort.Find();
        var folder = Path.Combine(Repository.Root, "loadtests", "Peers", "bullmq");
        await using var bull = new ChildProcess("/usr/bin/env", ["node", Path.Combine(folder, "bench.mjs"), $"{port}", $"{bare.Port}", RedisFixture.Password],
            new Dictionary<string, string?>());
        await bull.LineAsync("ready");
        await using var bullOverHttp = new BullMqOverHttp(bare, Noop, Concurrency);
        await bullOverHttp.ReadyAsync();
        await using JobEngine sweeping = new(bare.Store, "sweeping", sweeps: true), keeping = new(bare.Store, "keeping", sweeps: false);
        foreach (var engine in new[] { sweeping, keeping }) await engine.StartAsync(Concurrency);
        await using var one = await GatewayAsync(forOne);
        await using var a = await GatewayAsync(forTwo);
        await using var b = await GatewayAsync(forTwo);
        foreach (var gateway in new[] { one, a }) await gateway.Process.LineAsync("is ready after");
        using var http = new HttpClient { Timeout = TimeSpan.FromMinutes(2) };
        var costs = new StringBuilder();
        Contender[] all =
        [
            new("BullMQ 6.7, removes what ended", 0, bare, () => BullAsync(""), Jobs, bull.Id),
            new("Sluice's job engine, removes", 0, bare, () => sweeping.RunAsync(Jobs, Concurrency), Jobs),
            new("BullMQ 6.7, keeps all", 2, bare, () => BullAsync("&keep"), Jobs, bull.Id),
            new("Sluice's job engine, keeps all", 2, bare, () => keeping.RunAsync(Jobs, Concurrency), Jobs) { AfterAsync = keeping.ForgetAsync },
            new("BullMQ 6.7 over HTTP, two processes", 4, bare, () => BullOverHttpAsync(options.Slice))
            {
                Servers = bullOverHttp.Processes,
            },
            new("Sluice, one gateway over HTTP", 4, forOne, () => RateAsync([one])),
            new("Sluice, two gateways over HTTP", 4, forTwo, () => RateAsync([a, b])),
        ];
        for (var warm = TimeSpan.Zero; warm < GatewayWarmUp; warm += options.Slice)
        {
            foreach (var load in all[4..^1]) await load.MeasureAsync();
            await ThroughAsync([a, b], 2 * options.Slice, ct);
        }

        var rounds = await RoundsAsync(all, options, costs);
        var text = Table(all, options, rounds, costs);
        Console.WriteLine(text);
        if (options.Out is { } file) await File.WriteAllTextAsync(file, text, ct);
        foreach (var redis in servers) await redis.DisposeAsync();

        async Task<double> RateAsync(GatewayProcess[] gateways) =>
            (await ThroughAsync(gateways, options.Slice, ct)).Rate;

        async Task<double> BullOverHttpAsync(TimeSpan slice) =>
            (await LoadAsync([Target.Post(bullOverHttp.Url, Body)], () => bullOverHttp.CompletedAsync(http), slice, ct))
            .Rate;

        async Task<double> BullAsync(string more) => double.Parse(
            await http.GetStringAsync(new Uri($"http://127.0.0.1:{port}/?jobs={Jobs}&concurrency={Concurrency}{more}"), ct), CultureInfo.InvariantCulture);
    }

    /// <summary>Measures all in each round, in a rotating order.</summary>
    /// <param name="all">The contenders.</param>
    /// <param name="options">Number of rounds that are counted.</param>
    /// <param name="costs">Receives the rows of the last round's costs.</param>
    /// <returns>The rates of each counted round.</returns>
    private static async Task<List<double[]>> RoundsAsync(
        Contender[] all,
        ScenarioOptions options,
        StringBuilder costs)
    {
        var (rounds, last) = (new List<double[]>(), WarmUp + options.Rounds - 1);
        for (var round = 0; round <= last; round++)
        {
            var rates = new double[all.Length];
            for (var i = 0; i < all.Length; i++)
            {
                var which = (i + round) % all.Length;
                (rates[which], var cost) = await MeasureAsync(all[which]);
                if (round == last) costs.AppendLine(cost);
            }

            if (round >= WarmUp) rounds.Add(rates);
            var shown = rates.Select(r => r.ToString("n0", CultureInfo.InvariantCulture));
            Console.Error.WriteLine($"round {round}: {string.Join(", ", shown)}");
        }

        return rounds;
    }

    private static string Table(Contender[] all, ScenarioOptions options, List<double[]> rounds, StringBuilder costs)
    {
        var text = new StringBuilder($"# job-throughput\n\n{Machine.Describe("make load-jobs")}\n")
            .Append(CultureInfo.InvariantCulture, $"{options.Rounds} rounds after {WarmUp} of warming up ({GatewayWarmUp.TotalSeconds:0} s before for each gateway); ")
            .Append("medians; ratios of each round's own, with their range.\n\n")
            .Append("| | jobs/s | against BullMQ |\n|---|---|---|\n");
        for (var i = 0; i < all.Length; i++)
        {
            var rates = rounds.Select(r => r[i]).Order().ToList();
            var ratios = rounds.Select(r => r[i] / r[all[i].Against]).Order().ToList();
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {all[i].Name} | {rates[rates.Count / 2]:n0} | {ratios[ratios.Count / 2]:0.00} ({ratios[0]:0.00}-{ratios[^1]:0.00}) |");
        }

        return text.Append("\nA job's cost (last round; Redis' own counters; pollers and renewals included):\n\n")
            .Append("| | scripts and commands received | bytes in | bytes out | us of CPU: Redis | BullMQ, engine or load | servers | workers |\n")
            .Append("|---|---|---|---|---|---|---|---|\n").Append(costs).ToString();
    }

    /// <summary>Runs jobs through gateways that share a Redis.</summary>
    /// <returns>Jobs per second, and the number of jobs.</returns>
    internal static Task<(double Rate, long Jobs)> ThroughAsync(
        GatewayProcess[] gateways,
        TimeSpan slice,
        CancellationToken ct) =>
        LoadAsync(
            [.. gateways.Select(g => Target.Post(new Uri(g.Url, "/v2/noop/run"), Body, g.Key))],
            () => CompletedAsync(gateways[0]),
            slice,
            ct);

    /// <summary>
    /// Submits by as many connections as BullMQ has adders, and counts what has completed when the last one has.
    /// </summary>
    private static async Task<(double Rate, long Jobs)> LoadAsync(
        Target[] targets,
        Func<Task<long>> completed,
        TimeSpan slice,
        CancellationToken ct)
    {
        var before = await completed();
        var started = Stopwatch.GetTimestamp();
        var loops = Array.ConvertAll(targets, t => new ClosedLoop(t, Concurrency / targets.Length));
        var results = await Task.WhenAll(loops.Select(l => l.RunAsync(slice, ct)));
        foreach (var loop in loops) loop.Dispose();
        var accepted = results.Sum(r => r.Latency.TotalCount);
        if (results.Sum(r => r.Failed) > 0) throw new InvalidOperationException($"{results.Sum(r => r.Failed)} submissions failed");
        while (await completed() - before < accepted) await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, ct);
        return (accepted / Stopwatch.GetElapsedTime(started).TotalSeconds, accepted);
    }

    private static async Task<long> CompletedAsync(GatewayProcess gateway) => (long)(await gateway.GetAsync("/v2/noop/health"))["jobs"]!["completed"]!;

    internal static Task<GatewayProcess> GatewayAsync(
        RedisFixture redis,
        string? program = null) => GatewayProcess.StartAsync($$"""
        templates:
          - name: noop
            command: ["{{Noop}}"]
            readyPath: /ready
            handlerPath: /
            concurrency: {{Concurrency}}
        endpoints:
          - { id: noop, template: noop, scaling: { min: 1, max: 1 }, jobs: { retention: 60s } }
        """, environment: new Dictionary<string, string?>
        {
            ["SLUICE_REDIS"] = redis.ConnectionString, ["SLUICE_ADMIN_KEY"] = "one-admin-key-of-all-gateways",
            ["SLUICE_PAYLOADS"] = Path.Combine(Path.GetTempPath(), "sluice-payloads-" + redis.Port),
        }, program: program);

    private static async Task<(double Rate, string Cost)> MeasureAsync(Contender of)
    {
        var before = await Cost.ReadAsync(of);
        var rate = await of.MeasureAsync();
        var cost = (await Cost.ReadAsync(of)).Since(before);
        if (of.AfterAsync is { } after) await after();
        return (rate, Costs(of.Name, cost, of.Jobs ?? rate * cost.Seconds));
    }

    private static string Costs(string name, Cost cost, double jobs) => string.Create(CultureInfo.InvariantCulture,
        $"| {name} | {cost.Commands / jobs:0.0} | {cost.In / jobs:0} | {cost.Out / jobs:0} | {cost.Redis * 1e6 / jobs:0} | "
        + $"{cost.Own * 1e6 / jobs:0} | {cost.Gateways * 1e6 / jobs:0} | {cost.Workers * 1e6 / jobs:0} |");

    /// <summary>What is measured.</summary>
    /// <param name="Name">In the tables.</param>
    /// <param name="Against">Index of the contender that its rate is compared with.</param>
    /// <param name="Redis">Where its jobs are.</param>
    /// <param name="MeasureAsync">Jobs a second.</param>
    /// <param name="Jobs">In one measurement; null: as many as its time takes.</param>
    /// <param name="Process">That has the adders; null: this one.</param>
    private sealed record Contender(string Name, int Against, RedisFixture Redis, Func<Task<double>> MeasureAsync, int? Jobs = null, int? Process = null)
    {
        /// <summary>The processes between the load and the workers; null: the gateways.</summary>
        public int[]? Servers { get; init; }

        /// <summary>Tidies up, uncounted.</summary>
        public Func<Task>? AfterAsync { get; init; }
    }

    /// <summary>What Redis and the processes had done by a moment: commands, bytes, seconds.</summary>
    private sealed record Cost(double Commands, double In, double Out, double Redis, double Own, double Gateways, double Workers, double Seconds)
    {
        public static async Task<Cost> ReadAsync(Contender of)
        {
            var info = (string)(await of.Redis.Store.Database.ExecuteAsync("INFO", "everything"))!;
            var values = info.Split('\n').Where(l => l.Contains(':', StringComparison.Ordinal)).Select(l => l.Trim().Split(':', 2))
                .DistinctBy(p => p[0]).ToDictionary(p => p[0], p => p[1]);
            double Number(string name) => double.Parse(values[name], CultureInfo.InvariantCulture);
            var servers = of.Servers is { } own ? Array.ConvertAll(own, Process.GetProcessById) : Process.GetProcessesByName("Sluice.Gateway");
            return new Cost(Number("total_commands_processed"), Number("total_net_input_bytes"), Number("total_net_output_bytes"),
                Number("used_cpu_user") + Number("used_cpu_sys"), Cpu(Process.GetProcessById(of.Process ?? Environment.ProcessId)),
                servers.Sum(Cpu), Process.GetProcessesByName("Sluice.NoopWorker").Sum(Cpu),
                TimeProvider.System.GetTimestamp() / (double)TimeProvider.System.TimestampFrequency);
        }

        public Cost Since(Cost then) => new(Commands - then.Commands, In - then.In, Out - then.Out, Redis - then.Redis, Own - then.Own,
            Gateways - then.Gateways, Workers - then.Workers, Seconds - then.Seconds);

        private static double Cpu(Process process)
        {
            using (process) return process.TotalProcessorTime.TotalSeconds;
        }
    }
}
