using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Domain.Schema;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Replaces three gateways on one Redis one after the other, from one build to another, while requests, streams and
/// jobs arrive. Clients use the gateways in turn, as behind a load balancer that asks <c>/readyz</c> each second and
/// stops at its first failure. Each failed request counts: clients repeat none. The load lasts until the version of the
/// data in Redis is raised, and a gateway of the earlier build that starts then must refuse.
/// </summary>
/// <param name="from">The build at the start.</param>
/// <param name="to">The build at the end.</param>
/// <param name="delay">SLUICE_SHUTDOWN_DELAY_SECONDS.</param>
public sealed class RollingUpgrade(PublishedBuild from, PublishedBuild to, int delay) : IAsyncDisposable
{
    private const int Gateways = 3;
    private const int Requesters = 8;
    private const int Streams = 6;
    private const int Submitters = 4;
    private const int Chunks = 40;

    private static readonly TimeSpan AskEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan TryAgain = TimeSpan.FromMilliseconds(10);

    private readonly string log = Path.GetTempFileName();
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-rolling-").FullName;
    private readonly RedisFixture redis = new();
    private readonly GatewayProcess?[] gateways = new GatewayProcess?[Gateways];
    private readonly ConcurrentDictionary<int, GatewayProcess> balanced = [];
    private readonly ConcurrentDictionary<(string Kind, string Why), int> failures = [];
    private readonly ConcurrentBag<string> jobs = [];
    private readonly ConcurrentBag<double> latencies = [];
    private readonly List<double> stops = [];
    private SchemaTimeline schema = null!;
    private int streams;
    private int turn;

    public async Task<string> RunAsync(CancellationToken ct)
    {
        await redis.InitializeAsync();
        for (var i = 0; i < Gateways; i++) gateways[i] = await StartAsync(i, from);
        using var done = new CancellationTokenSource();
        schema = new SchemaTimeline(redis.Store.Database);
        var watching = schema.WatchAsync(done.Token);
        var asking = AskReadyAsync(done.Token);
        while (balanced.Count < Gateways) await Task.Delay(TryAgain, TimeProvider.System, ct);
        await new Jobs(gateways[0]!).RunSyncAsync(1);
        var began = Stopwatch.GetTimestamp();
        var load = Task.WhenAll([
            .. Enumerable.Range(0, Requesters).Select(_ => LoopAsync("request", RequestAsync, done.Token)),
            .. Enumerable.Range(0, Streams).Select(_ => LoopAsync("stream", StreamAsync, done.Token)),
            .. Enumerable.Range(0, Submitters).Select(_ => LoopAsync("job", SubmitAsync, done.Token)),
        ]);
        for (var i = 0; i < Gateways; i++)
        {
            await Task.Delay(Between, TimeProvider.System, ct);
            await ReplaceAsync(i);
            schema.Add($"gateway {i + 1} of {Gateways} is replaced");
        }

        await RaiseAsync();
        await Task.Delay(Between, TimeProvider.System, ct);
        await done.CancelAsync();
        await Task.WhenAll(load, asking, watching);
        return await ReportAsync(Stopwatch.GetElapsedTime(began), ct);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var gateway in gateways)
            if (gateway is not null) await gateway.DisposeAsync();
        await redis.DisposeAsync();
        StubLog.Delete(log);
        Directory.Delete(folder, recursive: true);
    }

    private Task<GatewayProcess> StartAsync(int member, PublishedBuild build) => GatewayProcess.StartAsync(
        Jobs.Manifest(log, max: 4, concurrency: 8, scaling: ", min: 3"),
        Directory.CreateDirectory(Path.Combine(folder, $"{member}")).FullName,
        new Dictionary<string, string?>
        {
            ["SLUICE_REDIS"] = redis.ConnectionString,
            ["SLUICE_ADMIN_KEY"] = "one-admin-key-of-all-gateways",
            ["SLUICE_PAYLOADS"] = Path.Combine(folder, "payloads"),
            ["SLUICE_SHUTDOWN_DELAY_SECONDS"] = delay.ToString(CultureInfo.InvariantCulture),
        },
        program: build.Gateway);

    /// <summary>Stops a gateway with SIGTERM, and starts its successor on the same folder.</summary>
    private async Task ReplaceAsync(int member)
    {
        var old = gateways[member]!;
        var since = Stopwatch.GetTimestamp();
        old.Process.Signal(ChildProcess.Sigterm);
        await old.Process.ExitAsync();
        stops.Add(Stopwatch.GetElapsedTime(since).TotalSeconds);
        gateways[member] = await StartAsync(member, to);
        await old.DisposeAsync();
        while (balanced.Count < Gateways) await Task.Delay(TryAgain, TimeProvider.System, CancellationToken.None);
    }

    /// <summary>
    /// Waits until the version of the data is the newest, under load, and starts a gateway of the earlier build again.
    /// </summary>
    private async Task RaiseAsync()
    {
        var newest = SchemaVersions.Newest.ToString(CultureInfo.InvariantCulture);
        var wasRaised = schema.Current != newest;
        if (wasRaised) await schema.TryBatchAsync(gateways[0]!.Client);
        await schema.UntilAsync(newest);
        // Each gateway reads the version about once a second.
        await Task.Delay(AskEvery * 2, TimeProvider.System, CancellationToken.None);
        foreach (var gateway in gateways) await schema.TryBatchAsync(gateway!.Client);
        if (!wasRaised) return;
        try
        {
            await using var earlier = await StartAsync(Gateways, from);
            schema.Add("**a gateway of the earlier build started**");
        }
        catch (InvalidOperationException e)
        {
            var line = e.Message.Split('\n').First(l => l.StartsWith("sluice: ", StringComparison.Ordinal));
            schema.Add($"the earlier build refuses to start: `{Shorten(line)}`");
        }
    }

    /// <summary>Does what a load balancer does: it uses the gateways that were ready when it asked last.</summary>
    private async Task AskReadyAsync(CancellationToken ct)
    {
        while (!ct.IsCancellationRequested)
        {
            for (var i = 0; i < Gateways; i++)
            {
                var gateway = gateways[i]!;
                if (await IsReadyAsync(gateway)) balanced[i] = gateway;
                else balanced.TryRemove(i, out _);
            }

            await Task.WhenAny(Task.Delay(AskEvery, TimeProvider.System, ct));
        }
    }

    private static async Task<bool> IsReadyAsync(GatewayProcess gateway)
    {
        try
        {
            using var answer = await gateway.Client.GetAsync(new Uri("/readyz", UriKind.Relative));
            return answer.IsSuccessStatusCode;
        }
        catch (Exception e) when (e is HttpRequestException or IOException or ObjectDisposedException)
        {
            return false;
        }
    }

    private async Task LoopAsync(string kind, Func<HttpClient, int, Task<string?>> send, CancellationToken ct)
    {
        while (!ct.IsCancellationRequested)
        {
            var n = Interlocked.Increment(ref turn);
            if (!balanced.TryGetValue(n % Gateways, out var gateway)) continue;
            string? why;
            try
            {
                why = await send(gateway.Client, n);
            }
            catch (Exception e) when (e is HttpRequestException or IOException or ObjectDisposedException)
            {
                why = e.Message;
            }

            if (why is not null) failures.AddOrUpdate((kind, why), 1, (_, count) => count + 1);
            await Task.WhenAny(Task.Delay(TryAgain, TimeProvider.System, ct));
        }
    }

    private async Task<string?> RequestAsync(HttpClient client, int n)
    {
        var since = Stopwatch.GetTimestamp();
        using var body = new StringContent($$$"""{"id":"r{{{n}}}","attempt":1,"input":{"do":"sleep","ms":20}}""");
        using var answer = await client.PostAsync(new Uri("/e/stub/run", UriKind.Relative), body);
        var text = await answer.Content.ReadAsStringAsync();
        latencies.Add(Stopwatch.GetElapsedTime(since).TotalMilliseconds);
        return answer.IsSuccessStatusCode ? null : Shorten($"{(int)answer.StatusCode} {text}");
    }

    /// <summary>A stream of about 3 s.</summary>
    private async Task<string?> StreamAsync(HttpClient client, int n)
    {
        using var body = new StringContent(
            $$$"""{"id":"s{{{n}}}","attempt":1,"input":{"do":"stream","chunks":{{{Chunks}}},"ms":75}}""");
        using var answer = await client.PostAsync(new Uri("/e/stub/run", UriKind.Relative), body);
        var text = await answer.Content.ReadAsStringAsync();
        Interlocked.Increment(ref streams);
        if (!answer.IsSuccessStatusCode) return Shorten($"{(int)answer.StatusCode} {text}");
        return text.Split("data: ").Length - 1 == Chunks ? null : "the stream was cut";
    }

    private async Task<string?> SubmitAsync(HttpClient client, int n)
    {
        using var body = new StringContent($$$"""{"input":{"do":"sleep","ms":10,"n":{{{n}}}}}""");
        using var answer = await client.PostAsync(new Uri("/v2/stub/run", UriKind.Relative), body);
        var text = await answer.Content.ReadAsStringAsync();
        if (!answer.IsSuccessStatusCode) return Shorten($"{(int)answer.StatusCode} {text}");
        jobs.Add((string)JsonNode.Parse(text)!["id"]!);
        return null;
    }

    private static string Shorten(string text) => text[..Math.Min(200, text.Length)].ReplaceLineEndings(" ");

    private async Task<string> ReportAsync(TimeSpan took, CancellationToken ct)
    {
        var reader = new Jobs(gateways[0]!);
        var completed = 0;
        foreach (var id in jobs)
            if ((string?)(await reader.EndAsync(id))["status"] == "COMPLETED") completed++;
        await reader.QuietAsync();
        var sorted = latencies.Order().ToList();
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"""
            {Gateways} gateways were replaced one after the other in {took.TotalSeconds:0} s, with a shutdown delay of
            {delay} s. A stop took {stops.Min():0.0} to {stops.Max():0.0} s.

            | what | number | failed |
            |---|---|---|
            | requests | {sorted.Count} | **{Failed("request")}** |
            | streams of 3 s | {streams} | **{Failed("stream")}** |
            | jobs submitted | {jobs.Count} | **{Failed("job")}** |
            | accepted jobs that did not end as COMPLETED | {jobs.Count - completed} | **{jobs.Count - completed}** |

            Requests (20 ms of work): p50 {sorted[sorted.Count / 2]:0} ms,
            p99 {sorted[(int)(sorted.Count * 0.99)]:0} ms, slowest {sorted[^1]:0} ms.

            The version of the data in Redis, from the start of the load:

            {schema.Report()}
            """);
        foreach (var ((kind, why), count) in failures.OrderByDescending(f => f.Value).Take(10))
            text.Append(CultureInfo.InvariantCulture, $"- {kind}, {count} times: {why}\n");
        return text.ToString();

        int Failed(string kind) => failures.Where(f => f.Key.Kind == kind).Sum(f => f.Value);
    }
}
