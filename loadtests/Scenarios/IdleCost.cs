using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Measures what endpoints at zero cost: one gateway and one Redis, with 3, 1,000 and 2,000 endpoints that get no
/// request. Also measured are the time to declare, list and delete them, and starts from zero. Each build is measured
/// with each number of endpoints before the next number.
/// </summary>
public sealed class IdleCost(TimeSpan slice, IReadOnlyList<PublishedBuild> builds)
{
    private const int Writers = 8;
    private const int Starts = 20;
    private const int Keys = 10_000;
    private const int KeyPage = 1000;

    private static readonly int[] Counts = [3, 1000, 2000];
    private static readonly string[] Everything = ["*"];

    /// <summary>The first passes and the compilation of the gateway are over by then.</summary>
    private static readonly TimeSpan Settle = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(50);

    /// <summary>Measures all builds, and returns the report.</summary>
    public async Task<string> RunAsync(CancellationToken ct)
    {
        var rows = new List<string>();
        foreach (var count in Counts)
            foreach (var build in builds)
            {
                var row = await MeasureAsync(build, count, ct);
                Console.WriteLine(row);
                rows.Add(row);
            }

        var keys = new List<string>();
        foreach (var build in builds) keys.Add(await MeasureKeysAsync(build, ct));
        return $"""
            One gateway, one Redis. No request for {Settle.TotalSeconds:0} s before the measurement of
            {slice.TotalSeconds:0} s.
            CPU in percent of one core. Commands of Redis: those that scripts call count too.
            Starts from zero: median and slowest of {Starts}.

            | endpoints | build | gateway | Redis | both | commands/s | declare, s | list, ms | start, ms | delete, s |
            |---|---|---|---|---|---|---|---|---|---|
            {string.Join('\n', rows)}

            ## {Keys} keys

            | build | created in, s | listed in pages of {KeyPage}, ms | largest page, bytes |
            |---|---|---|---|
            {string.Join('\n', keys)}

            """;
    }

    private async Task<string> MeasureAsync(PublishedBuild build, int count, CancellationToken ct)
    {
        var log = Path.GetTempFileName();
        var redis = new RedisFixture();
        await redis.InitializeAsync();
        await using var gateway = await StartAsync(build, redis, log);
        var declared = await TimeAsync(() => EachAsync(count, async n =>
        {
            using var endpoint = JsonContent.Create(
                new { template = "stub", scaling = new { max = 1, idleTimeout = "1s" } });
            await SendAsync(gateway, HttpMethod.Put, $"/api/v1/endpoints/idle{n}", endpoint, ct);
        }));
        await Task.Delay(Settle, TimeProvider.System, ct);
        var counters = await RedisCounters.ReadAsync(redis);
        var (began, cpu) = (Stopwatch.GetTimestamp(), ProcessTime.Microseconds(gateway.Process.Id));
        await Task.Delay(slice, TimeProvider.System, ct);
        var used = ProcessTime.Microseconds(gateway.Process.Id) - cpu;
        var after = await RedisCounters.ReadAsync(redis);
        var took = Stopwatch.GetElapsedTime(began).TotalSeconds;
        var listed = await TimeAsync(() => SendAsync(gateway, HttpMethod.Get, "/api/v1/endpoints", null, ct));
        var starts = new List<double>();
        for (var n = 0; n < Starts; n++)
        {
            using var body = new StringContent("""{"id":"r","attempt":1,"input":1}""");
            var path = $"/e/idle{n * 37 % count}/run";
            var start = await TimeAsync(() => SendAsync(gateway, HttpMethod.Post, path, body, ct));
            starts.Add(start.TotalMilliseconds);
            while (StubProcesses.Of(log).Count > 0) await Task.Delay(Look, TimeProvider.System, ct);
        }

        var deleted = await TimeAsync(() => EachAsync(count,
            n => SendAsync(gateway, HttpMethod.Delete, $"/api/v1/endpoints/idle{n}", null, ct)));
        await redis.DisposeAsync();
        StubLog.Delete(log);
        var (own, its) = (used / took / 1e4, (after.CpuSeconds - counters.CpuSeconds) / took * 100);
        return string.Create(CultureInfo.InvariantCulture,
            $"| {count} | {build.Name} | {own:0.0} | {its:0.0} | **{own + its:0.0}** "
            + $"| {(after.Commands - counters.Commands) / took:n0} | {declared.TotalSeconds:0.0} "
            + $"| {listed.TotalMilliseconds:0} | {starts.Order().ElementAt(Starts / 2):0}, {starts.Max():0} "
            + $"| {deleted.TotalSeconds:0.0} |");
    }

    private static async Task<string> MeasureKeysAsync(PublishedBuild build, CancellationToken ct)
    {
        var log = Path.GetTempFileName();
        var redis = new RedisFixture();
        await redis.InitializeAsync();
        await using var gateway = await StartAsync(build, redis, log);
        var created = await TimeAsync(() => EachAsync(Keys, async n =>
        {
            using var key = JsonContent.Create(new { name = $"key {n}", invoke = Everything });
            await SendAsync(gateway, HttpMethod.Post, "/api/v1/keys", key, ct);
        }));
        var (seen, largest, cursor) = (0, 0, "");
        var listed = await TimeAsync(async () =>
        {
            do
            {
                var path = $"/api/v1/keys?limit={KeyPage}&cursor={Uri.EscapeDataString(cursor)}";
                var page = await gateway.Client.GetStringAsync(new Uri(path, UriKind.Relative), ct);
                var json = System.Text.Json.Nodes.JsonNode.Parse(page)!;
                largest = Math.Max(largest, Encoding.UTF8.GetByteCount(page));
                seen += json["keys"]!.AsArray().Count;
                cursor = (string?)json["next"] ?? "";
            }
            while (cursor.Length > 0);
        });
        await redis.DisposeAsync();
        StubLog.Delete(log);
        if (seen < Keys) throw new InvalidOperationException($"{seen} keys were listed; expected at least {Keys}");
        return string.Create(CultureInfo.InvariantCulture,
            $"| {build.Name} | {created.TotalSeconds:0.0} | {listed.TotalMilliseconds:0} | {largest:n0} |");
    }

    private static Task<GatewayProcess> StartAsync(PublishedBuild build, RedisFixture redis, string log)
    {
        var manifest = $$"""
            templates:
              - name: stub
                command: ["{{Repository.StubWorker}}"]
                readyPath: /ready
                env: { STUB_LOG: "{{log}}", DOTNET_gcServer: "0" }
                stopGrace: 1s

            """;
        return GatewayProcess.StartAsync(manifest, program: build.Gateway, environment: new Dictionary<string, string?>
        {
            ["SLUICE_REDIS"] = redis.ConnectionString,
        });
    }

    /// <summary>Runs numbered work, several at a time.</summary>
    private static Task EachAsync(int count, Func<int, Task> work) => Parallel.ForEachAsync(
        Enumerable.Range(0, count),
        new ParallelOptions { MaxDegreeOfParallelism = Writers },
        async (n, _) => await work(n));

    private static async Task SendAsync(
        GatewayProcess gateway, HttpMethod method, string path, HttpContent? body, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(method, new Uri(path, UriKind.Relative)) { Content = body };
        using var answer = await gateway.Client.SendAsync(request, ct);
        if (!answer.IsSuccessStatusCode)
            throw new InvalidOperationException(
                $"{method} {path}: {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync(ct)}");
    }

    private static async Task<TimeSpan> TimeAsync(Func<Task> work)
    {
        var began = Stopwatch.GetTimestamp();
        await work();
        return Stopwatch.GetElapsedTime(began);
    }
}
