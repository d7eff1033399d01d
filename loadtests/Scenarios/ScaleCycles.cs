using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Workers come and go under load and no request may notice: in each cycle requests arrive in a wave that needs all
/// workers, a stream is under way while they go again, and in every other cycle the template changes in the middle of
/// the wave, so that all are replaced.
/// </summary>
public sealed class ScaleCycles(int cycles, int requests) : IAsyncDisposable
{
    private const int Max = 4;
    private const int AtOnce = 48;

    private readonly string log = Path.GetTempFileName();
    private readonly ConcurrentDictionary<string, int> failures = [];
    private readonly ConcurrentBag<double> latencies = [];
    private GatewayProcess? gateway;

    public async Task<string> RunAsync(CancellationToken ct)
    {
        gateway = await GatewayProcess.StartAsync(Manifest(0));
        var began = Stopwatch.GetTimestamp();
        var each = requests / cycles;
        var (workers, most, replaced, cut) = (new HashSet<string>(), 0, 0, 0);
        for (var cycle = 0; cycle < cycles; cycle++)
        {
            var stream = StreamAsync(cycle, ct);
            var wave = Parallel.ForEachAsync(Enumerable.Range(0, each), new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = ct },
                async (n, token) => await AskAsync(cycle, n, token));
            if (cycle % 2 == 1)
            {
                await ChangeAsync(cycle, ct);
                replaced++;
            }

            while (!wave.IsCompleted)
            {
                var now = await gateway.WorkersAsync("stub");
                workers.UnionWith(now.Select(w => (string)w["id"]!));
                most = Math.Max(most, now.Count(w => (string?)w["state"] == "ready"));
                await Task.WhenAny(wave, Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, ct));
            }

            await wave;
            // Until all but one have gone (the stream may hold one of those that drain).
            while ((await gateway.WorkersAsync("stub", "ready")).Count > 1) await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, ct);
            if (!await stream) cut++;
        }

        var sorted = latencies.Order().ToList();
        var text = new StringBuilder();
        var took = Stopwatch.GetElapsedTime(began).TotalSeconds;
        text.Append(CultureInfo.InvariantCulture, $"{cycles} cycles in {took:0} s, in {replaced} of them the template changed under load. ");
        text.Append(CultureInfo.InvariantCulture, $"{workers.Count} workers started and stopped, at most {most} ready at the same time.\n\n");
        text.Append("| requests | failed | streams | cut | p50 ms | p99 ms | slowest ms |\n|---|---|---|---|---|---|---|\n");
        text.Append(CultureInfo.InvariantCulture, $"| {sorted.Count} | **{failures.Values.Sum()}** | {cycles} | **{cut}** ");
        text.Append(CultureInfo.InvariantCulture, $"| {sorted[sorted.Count / 2]:0} | {sorted[(int)(sorted.Count * 0.99)]:0} | {sorted[^1]:0} |\n");
        foreach (var (why, count) in failures) text.Append(CultureInfo.InvariantCulture, $"\n- {count}: {why}");
        return text.ToString();
    }

    public async ValueTask DisposeAsync()
    {
        if (gateway is not null) await gateway.DisposeAsync();
        StubLog.Delete(log);
    }

    private string Manifest(int version) => $$"""
        templates:
          - name: stub
            command: ["{{Repository.StubWorker}}"]
            concurrency: 4
            readyPath: /ready
            env: { STUB_LOG: "{{log}}", VERSION: "{{version}}", DOTNET_gcServer: "0" }
            stopGrace: 1s
        endpoints:
          - { id: stub, template: stub, queue: { maxDepth: 10000 }, scaling: { scaler: REQUEST_COUNT, max: {{Max}}, idleTimeout: 1s } }
        """;

    private Task ChangeAsync(int version, CancellationToken ct) => File.WriteAllTextAsync(gateway!.ManifestPath, Manifest(version), ct);

    private async Task AskAsync(int cycle, int n, CancellationToken ct)
    {
        var began = Stopwatch.GetTimestamp();
        try
        {
            using var body = new StringContent($$"""{"id":"c{{cycle}}-{{n}}","attempt":1,"input":{"do":"sleep","ms":25} }""");
            using var answer = await gateway!.Client.PostAsync(new Uri("/e/stub/run", UriKind.Relative), body, ct);
            var text = await answer.Content.ReadAsStringAsync(ct);
            if (!answer.IsSuccessStatusCode) failures.AddOrUpdate($"{(int)answer.StatusCode} {text[..Math.Min(200, text.Length)]}", 1, (_, c) => c + 1);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            failures.AddOrUpdate(e.Message, 1, (_, c) => c + 1);
        }

        latencies.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
    }

    /// <summary>A stream that begins before the wave and ends after it; whether it came whole.</summary>
    private async Task<bool> StreamAsync(int cycle, CancellationToken ct)
    {
        const int chunks = 40;
        using var body = new StringContent($$"""{"id":"s{{cycle}}","attempt":1,"input":{"do":"stream","chunks":{{chunks}},"ms":60} }""");
        using var answer = await gateway!.Client.PostAsync(new Uri("/e/stub/run", UriKind.Relative), body, ct);
        var text = await answer.Content.ReadAsStringAsync(ct);
        return answer.IsSuccessStatusCode && text.Split("data: ").Length - 1 == chunks;
    }
}
