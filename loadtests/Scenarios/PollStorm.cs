using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.LoadGenerator;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Measures how a storm of status polls for two jobs (one ended, one queued) affects the work of another key: requests
/// to a model, and jobs from submission to result. Rounds have no storm, connections in a closed loop (fewer and more
/// than may wait), or 5,000 polls per second that do not depend on the answers. The last storm is also sent to a bare
/// Kestrel instead of the gateway: its effect is caused by the storm's client and the machine, not by the gateway.
/// </summary>
/// <param name="options">Length and number of the measurements.</param>
/// <param name="stormCore">
/// The core of the storm's client alone, if this process was started on the others; null: it shares all cores.
/// </param>
public sealed class PollStorm(ScenarioOptions options, string? stormCore) : IAsyncDisposable
{
    private const int Connections = 300;
    private const double Rate = 5000;

    /// <summary>
    /// More than those that the gateway lets wait (SLUICE_POLL_RATE, 500) and those whose answer is under way.
    /// </summary>
    private const int ManyConnections = 1000;

    /// <summary>Beginning of a storm, which is not measured: a key uses its burst of requests in it.</summary>
    private static readonly TimeSpan Lead = TimeSpan.FromSeconds(1);

    /// <summary>Between what was measured last and the storm's end.</summary>
    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(0.3);

    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(10);

    private readonly RedisFixture redis = new();
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-polls-").FullName;
    private readonly StormClient client = new(stormCore);
    private readonly List<(string Name, int[] Processes)> watched = [];
    private readonly List<Traffic> traffics = [];
    private readonly List<PollStormCell> cells = [];
    private readonly Dictionary<string, List<StormClient.Seen>> seen = [];
    private GatewayProcess? gateway;
    private ChildProcess? bare;

    /// <summary>What is measured; a load that does nothing shows the storm's own cost.</summary>
    private sealed record Traffic(string Name, ClosedLoop? Loop);

    /// <summary>The storm beside the measured traffic; null: none.</summary>
    private sealed record Weather(string Name, StormClient.Order? Order);

    public async Task<string> RunAsync(CancellationToken ct)
    {
        var port = FreePort.Find();
        bare = new ChildProcess("/usr/bin/setsid", [Noop], new Dictionary<string, string?> { ["HTTP1_PORT"] = $"{port}", ["PORT"] = null });
        await redis.InitializeAsync();
        gateway = await GatewayProcess.StartAsync(Manifest(), environment: new Dictionary<string, string?>
        {
            ["SLUICE_REDIS"] = redis.ConnectionString, ["SLUICE_ADMIN_KEY"] = "the-admin-key-of-this-load-test", ["SLUICE_PAYLOADS"] = folder,
        }, wrapper: ["/usr/bin/setsid"]);
        await client.Process.LineAsync("ready");
        await bare.LineAsync("ready");
        var (work, storm) = (await KeyAsync("work", ["digits", "noop"], ct), await KeyAsync("storm", ["stub"], ct));
        var infer = Target.Post(new Uri(gateway.Url, "/v2/models/digits/infer"), GatewayProcess.Example("digits"), work);
        var run = Target.Post(new Uri(gateway.Url, "/v2/noop/runsync"), """{"input":{"x":1}}""", work);
        traffics.AddRange([new("infer, 4 connections", new ClosedLoop(infer, 4)), new("infer, 10 connections", new ClosedLoop(infer, 10)),
            new("jobs (runsync), 4 connections", new ClosedLoop(run, 4))]);
        using var poller = gateway.ClientFor(storm);
        var jobs = await JobsAsync(poller, ct);
        string[] urls = [.. jobs.Select(id => new Uri(gateway.Url, $"/v2/stub/status/{id}").ToString())];
        Weather[] weathers =
        [
            new("quiet", null),
            new($"{Connections} connections poll", new(urls, storm, Connections, 0, 0)),
            new($"{ManyConnections:n0} connections poll", new(urls, storm, ManyConnections, 0, 0)),
            new($"{Rate:n0} polls/s", new(urls, storm, ManyConnections, Rate, 0)),
            new($"{Rate:n0}/s at a bare Kestrel", new([$"http://127.0.0.1:{port}/ready"], null, ManyConnections, Rate, 0)),
        ];
        var nothing = new Traffic("nothing", null);
        string[] names = [.. weathers.Select(w => w.Name)];
        await WatchAsync(ct);
        foreach (var traffic in traffics) await traffic.Loop!.RunAsync(WarmUp, ct);
        for (var round = 0; round <= options.Rounds; round++)
        {
            var random = new Random(round);
            random.Shuffle(weathers);
            foreach (var weather in weathers)
            {
                Traffic[] all = [.. traffics];
                random.Shuffle(all);
                await MeasureAsync(weather, all, round, ct);
            }

            Console.Error.WriteLine($"round {round} of {options.Rounds}");
        }

        foreach (var weather in weathers) await MeasureAsync(weather, [nothing], 1, ct);
        string[] states = [.. await Task.WhenAll(jobs.Select(id => StateAsync(poller, id, ct)))];
        if (states is not ["COMPLETED", "IN_QUEUE"]) throw new InvalidOperationException($"the jobs that were polled are {string.Join(", ", states)}");
        return new PollStormReport(options, names, [.. traffics.Append(nothing).Select(t => t.Name)], [.. watched.Select(w => w.Name)], cells, seen).ToString();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var traffic in traffics) traffic.Loop?.Dispose();
        await client.DisposeAsync();
        if (gateway is not null) await gateway.DisposeAsync();
        if (bare is not null) await bare.DisposeAsync();
        await redis.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    private static string Noop => Path.Combine(Repository.Root, "loadtests", "Peers", "NoopWorker", "bin", "Release", "net10.0", "Sluice.NoopWorker");

    private static string Manifest() => $$"""
        templates:
          - { name: onnx }
          - name: noop
            command: ["{{Noop}}"]
            readyPath: /ready
            handlerPath: /
            concurrency: 50
          - name: stub
            command: ["{{Repository.StubWorker}}"]
            readyPath: /ready
            concurrency: 1
        endpoints:
          - { id: digits, template: onnx, scaling: { min: 1, max: 1 } }
          - { id: noop, template: noop, scaling: { min: 1, max: 1 }, jobs: { retention: 60s } }
          - { id: stub, template: stub, scaling: { min: 1, max: 1 } }
        """;

    private async Task<string> KeyAsync(string name, string[] invoke, CancellationToken ct)
    {
        using var made = await gateway!.Client.PostAsJsonAsync(new Uri("/api/v1/keys", UriKind.Relative), new { name, invoke }, ct);
        return (string)(await made.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<JsonObject>(ct))!["key"]!;
    }

    /// <summary>
    /// A job that has ended, and one that waits behind a third, which sleeps for as long as this takes.
    /// </summary>
    private static async Task<string[]> JobsAsync(HttpClient poller, CancellationToken ct)
    {
        var ended = await SubmitAsync(poller, "runsync", new { input = new { @do = "echo", text = new string('x', 200) } }, ct);
        var policy = new { ttl = 3_600_000, executionTimeout = 3_600_000 };
        var running = await SubmitAsync(poller, "run", new { input = new { @do = "sleep", ms = 3_600_000 }, policy }, ct);
        while (await StateAsync(poller, running, ct) != "IN_PROGRESS") await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, ct);
        return [ended, await SubmitAsync(poller, "run", new { input = new { @do = "echo" }, policy }, ct)];
    }

    private static async Task<string> SubmitAsync(HttpClient poller, string how, object job, CancellationToken ct)
    {
        using var answer = await poller.PostAsJsonAsync(new Uri($"/v2/stub/{how}", UriKind.Relative), job, ct);
        return (string)(await answer.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<JsonObject>(ct))!["id"]!;
    }

    private static async Task<string> StateAsync(HttpClient poller, string id, CancellationToken ct) =>
        (string)(await poller.GetFromJsonAsync<JsonObject>(new Uri($"/v2/stub/status/{id}", UriKind.Relative), ct))!["status"]!;

    /// <summary>Finds all processes that share the cores.</summary>
    private async Task WatchAsync(CancellationToken ct)
    {
        var workers = new List<int>();
        foreach (var endpoint in new[] { "digits", "noop", "stub" })
        {
            IReadOnlyList<JsonObject> ready;
            while ((ready = await gateway!.WorkersAsync(endpoint, "ready")).Count == 0) await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, ct);
            workers.AddRange(ready.Select(w => (int)w["processId"]!));
        }

        var info = (string)(await redis.Store.Database.ExecuteAsync("INFO", "server"))!;
        var server = info.Split('\n').Single(l => l.StartsWith("process_id:", StringComparison.Ordinal)).Split(':')[1];
        watched.AddRange([("Redis", [int.Parse(server, CultureInfo.InvariantCulture)]), ("gateway", [gateway!.Process.Id]), ("workers", [.. workers]),
            ("the storm's client", [client.Process.Id]), ("this load", [Environment.ProcessId]), ("bare Kestrel", [bare!.Id])]);
    }

    /// <summary>One kind of weather, and in it one traffic after another. Round 0 warms up.</summary>
    private async Task MeasureAsync(Weather weather, Traffic[] all, int round, CancellationToken ct)
    {
        var length = Lead + all.Length * options.Slice + Rest;
        var storm = weather.Order is { } order ? client.RunAsync(order with { Seconds = length.TotalSeconds }, ct) : null;
        if (storm is not null) await Task.Delay(Lead, TimeProvider.System, ct);
        foreach (var traffic in all)
        {
            var (before, began) = (Cpu(), Stopwatch.GetTimestamp());
            var result = new LoadResult();
            if (traffic.Loop is { } loop) result = await loop.RunAsync(options.Slice, ct);
            else await Task.Delay(options.Slice, TimeProvider.System, ct);
            var took = Stopwatch.GetElapsedTime(began).TotalSeconds;
            if (storm is { IsCompleted: true }) throw new InvalidOperationException($"the storm was over too early: {await storm}");
            if (round > 0) cells.Add(new(weather.Name, traffic.Name, round, result, [.. Cpu().Zip(before, (now, then) => (now - then) / took)]));
        }

        if (storm is null) return;
        var seenByStorm = await storm;
        if (round == 0 || all[0].Loop is null) return;
        if (!seen.TryGetValue(weather.Name, out var list)) seen[weather.Name] = list = [];
        list.Add(seenByStorm);
    }

    private double[] Cpu() => [.. watched.Select(w => w.Processes.Sum(id =>
    {
        using var process = Process.GetProcessById(id);
        return process.TotalProcessorTime.TotalSeconds;
    }))];
}
