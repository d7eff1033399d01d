using Sluice.LoadGenerator;
using Sluice.Scenarios;
using Sluice.Scenarios.Generation;

// Usage: Scenarios NAME [--rounds N] [--slice SECONDS] [--out FILE] [OPTIONS]
// gateway-overhead, job-throughput, worker-throughput, cold-start: [--before FOLDER] compares the build in FOLDER, a
// .build/run, with that of this checkout. job-throughput --before FOLDER [--gateways N]
// generation-throughput, prefill-interference, worker-studies
// poll-storm [--storm-core N]
// worker-device --worker PROGRAM --provider cuda|tensorrt|webgpu|cpu
// chaos [--jobs N] [--kills N] [--requests N] [--seed N]
// batch-chaos [--lines N] [--kills N] [--seed N]
// stream-failover [--kills N] [--gateway-kills N] [--seed N]
// stream-overhead [--rounds N] [--streams N]
// redis-failover [--failovers N] [--seed N]
// token-limit [--seconds N]
// scale-cycles [--cycles N] [--requests N]
// square-wave [--seconds N], leader-kills [--seconds N], idle-endpoints [--seconds N] [--endpoints N]
// rolling-upgrade [--before FOLDER] [--delay SECONDS]
// idle-cost [--seconds N] [--before FOLDER]
// simulate-real [--minutes N] [--factor N] [--max N]
var options = args.Skip(1).Chunk(2).ToDictionary(pair => pair[0], pair => pair.Length > 1 ? pair[1] : "");
switch (args.FirstOrDefault())
{
    case "gateway-overhead":
        await GatewayOverhead.RunAsync(ScenarioOptions.Read(options, comparesBuilds: true), CancellationToken.None);
        return 0;
    case "job-throughput":
        await JobThroughput.RunAsync(
            ScenarioOptions.Read(options, comparesBuilds: true, choosesGateways: true), CancellationToken.None);
        return 0;
    case "worker-throughput":
        await WorkerThroughput.RunAsync(ScenarioOptions.Read(options, comparesBuilds: true), CancellationToken.None);
        return 0;
    case "generation-throughput":
        await GenerationThroughput.RunAsync(ScenarioOptions.Read(options), CancellationToken.None);
        return 0;
    case "prefill-interference":
        await PrefillInterference.RunAsync(ScenarioOptions.Read(options), CancellationToken.None);
        return 0;
    case "worker-studies":
        await WorkerStudies.RunAsync(ScenarioOptions.Read(options), CancellationToken.None);
        return 0;
    case "worker-device":
        options.Remove("--worker", out var worker);
        options.Remove("--provider", out var provider);
        options.Remove("--only", out var only);
        await WorkerDevice.RunAsync(worker ?? throw new ArgumentException("--worker is missing: the worker's program"),
            provider ?? throw new ArgumentException("--provider is missing, expected cuda, tensorrt, webgpu or cpu"), ScenarioOptions.Read(options),
            CancellationToken.None, onlyGeneration: only == "generation");
        return 0;
    case "cold-start":
        await ColdStart.RunAsync(
            ScenarioOptions.Read(options, comparesBuilds: true),
            Environment.GetEnvironmentVariable("WORKER_IMAGE") ?? "sluice-worker:local",
            CancellationToken.None);
        return 0;
    case "chaos":
        var seed = Number("--seed", Environment.TickCount);
        await using (var chaos = new Chaos(Number("--jobs", 50_000), Number("--kills", 200), seed))
        {
            var report = $"# chaos\n\n{Machine.Describe("make chaos")}\n{await chaos.RunAsync(CancellationToken.None)}";
            Console.WriteLine(report);
            if (options.GetValueOrDefault("--out") is { } file) await File.WriteAllTextAsync(file, report);
        }

        return 0;
    case "token-limit":
        await using (var limit = new TokenLimit(Number("--seconds", 600)))
            await TellAsync("load-tokens", await limit.RunAsync(CancellationToken.None));
        return 0;
    case "cache-dispatch":
        await TellAsync(
            "load-cache", await CacheDispatch.RunAsync(Number("--rounds", 5), CancellationToken.None));
        return 0;
    case "conversations":
        await TellAsync(
            "load-conversations", await Conversations.RunAsync(Number("--rounds", 5), CancellationToken.None));
        return 0;
    case "stream-overhead":
        await TellAsync("load-streams", await StreamOverhead.RunAsync(
            Number("--rounds", 6), Number("--streams", 2000), CancellationToken.None));
        return 0;
    case "batch-chaos":
        var batchSeed = Number("--seed", Environment.TickCount);
        await using (var batch = new BatchChaos(Number("--lines", 10_000), Number("--kills", 60), batchSeed))
            await TellAsync("batch-chaos", await batch.RunAsync(CancellationToken.None));
        return 0;
    case "redis-failover":
        var failoverSeed = Number("--seed", Environment.TickCount);
        var tables = new List<string>();
        foreach (var replicas in new[] { 1, 0 })
        {
            await using var failover = new RedisFailover(Number("--failovers", 6), replicas, failoverSeed);
            tables.Add(await failover.RunAsync(CancellationToken.None));
        }

        await TellAsync("redis-failover", string.Join('\n', tables), $"make redis-failover SEED={failoverSeed}");
        return 0;
    case "stream-failover":
        await using (var streams = new StreamFailover(
            Number("--kills", 50), Number("--gateway-kills", 20), Number("--seed", Environment.TickCount)))
            await TellAsync("stream-failover", await streams.RunAsync(CancellationToken.None));
        return 0;
    case "scale-cycles":
        await using (var cycles = new ScaleCycles(Number("--cycles", 50), Number("--requests", 20_000)))
        {
            var seen = $"# scale-cycles\n\n{Machine.Describe("make scale-cycles")}\n{await cycles.RunAsync(CancellationToken.None)}";
            Console.WriteLine(seen);
            if (options.GetValueOrDefault("--out") is { } file3) await File.WriteAllTextAsync(file3, seen);
        }

        return 0;
    case "square-wave":
        await using (var wave = new SquareWave(TimeSpan.FromSeconds(Number("--seconds", 300))))
            await TellAsync("square-wave", await wave.RunAsync(CancellationToken.None));
        return 0;
    case "leader-kills":
        await using (var leaders = new LeaderKills(TimeSpan.FromSeconds(Number("--seconds", 180))))
            await TellAsync("leader-kills", await leaders.RunAsync(CancellationToken.None));
        return 0;
    case "idle-endpoints":
        await using (var idle = new IdleEndpoints(TimeSpan.FromSeconds(Number("--seconds", 600)), Number("--endpoints", 500)))
            await TellAsync("idle-endpoints", await idle.RunAsync(CancellationToken.None));
        return 0;
    case "rolling-upgrade":
        var first = options.GetValueOrDefault("--before") is { } earlier
            ? PublishedBuild.At("before", earlier) : PublishedBuild.Current;
        await using (var rolling = new RollingUpgrade(first, PublishedBuild.Current, Number("--delay", 3)))
            await TellAsync("rolling-upgrade", await rolling.RunAsync(CancellationToken.None));
        return 0;
    case "idle-cost":
        PublishedBuild[] builds = options.GetValueOrDefault("--before") is { } older
            ? [PublishedBuild.At("before", older), PublishedBuild.Current] : [PublishedBuild.Current];
        await TellAsync("idle-cost", await new IdleCost(
            TimeSpan.FromSeconds(Number("--seconds", 60)), builds).RunAsync(CancellationToken.None));
        return 0;
    case "poll-storm":
        options.Remove("--storm-core", out var core);
        await using (var storm = new PollStorm(ScenarioOptions.Read(options), core))
            await TellAsync("poll-storm", await storm.RunAsync(CancellationToken.None), "make load-polls");
        return 0;
    case "storm-client":
        // What poll-storm starts.
        await StormClient.ServeAsync(int.Parse(args[1], System.Globalization.CultureInfo.InvariantCulture), CancellationToken.None);
        return 0;
    case "simulate-real":
        await using (var real = new RealTrace(TimeSpan.FromMinutes(Number("--minutes", 30)), Number("--factor", 15), Number("--max", 4)))
        {
            var compared = $"# simulate-real\n\n{Machine.Describe("make simulate-real")}\n{await real.RunAsync(CancellationToken.None)}";
            Console.WriteLine(compared);
            if (options.GetValueOrDefault("--out") is { } file2) await File.WriteAllTextAsync(file2, compared);
        }

        return 0;
    default:
        await Console.Error.WriteLineAsync("usage: Scenarios gateway-overhead|job-throughput|worker-throughput|generation-throughput|prefill-interference|cold-start|worker-studies|worker-device"
            + "|chaos|batch-chaos|stream-failover|stream-overhead|token-limit|conversations|cache-dispatch"
            + "|redis-failover|scale-cycles|square-wave|leader-kills|idle-endpoints|idle-cost|rolling-upgrade"
            + "|poll-storm|simulate-real [--rounds N] [--slice SECONDS] [--jobs N] [--kills N] [--seed N] [--seconds N]"
            + " [--out FILE] [--before FOLDER]");
        return 2;
}

async Task TellAsync(string name, string report, string? command = null)
{
    var text = $"# {name}\n\n{Machine.Describe(command ?? "make " + name)}\n{report}";
    Console.WriteLine(text);
    if (options.GetValueOrDefault("--out") is { } file) await File.WriteAllTextAsync(file, text);
}

int Number(string name, int otherwise) =>
    options.TryGetValue(name, out var text) ? int.Parse(text, System.Globalization.CultureInfo.InvariantCulture) : otherwise;
