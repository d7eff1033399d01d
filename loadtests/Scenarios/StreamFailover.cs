using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Streams texts from two gateways on one Redis while workers and gateways are killed (SIGKILL). A stream whose gateway
/// lives must be whole, and equal to the text of an undisturbed run. A stream whose gateway was killed is counted and
/// sent again. The seed decides what is killed, in which order.
/// </summary>
/// <param name="workerKills">Number of kills of workers.</param>
/// <param name="gatewayKills">Number of kills of gateways.</param>
/// <param name="seed">The seed.</param>
public sealed class StreamFailover(int workerKills, int gatewayKills, int seed) : IAsyncDisposable
{
    private const int Streams = 64, Prompts = 64, Tokens = 200, EventsBetweenKills = 2000;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    private readonly RedisFixture redis = new();
    private readonly string payloads = Directory.CreateTempSubdirectory("sluice-payloads-").FullName;
    private readonly Random random = new(seed);
    private readonly GatewayProcess?[] gateways = new GatewayProcess?[2];
    private readonly ConcurrentQueue<string> failures = [];
    private readonly ConcurrentBag<double> gaps = [];
    private string[] expected = [];
    private long events;
    private int started, whole, lostWithGateway, isOver;
    private double continued;

    /// <summary>Runs the scenario, and returns its report.</summary>
    public async Task<string> RunAsync(CancellationToken ct)
    {
        Console.Error.WriteLine($"seed {seed}: {workerKills} kills of workers, {gatewayKills} of gateways");
        await redis.InitializeAsync();
        for (var i = 0; i < gateways.Length; i++) gateways[i] = await StartAsync();
        expected = await Task.WhenAll(Enumerable.Range(0, Prompts).Select(async i =>
            (await TextClient.SendAsync(gateways[i % 2]!.Client, Request(i), null, ct)).Text));
        var began = TimeProvider.System.GetTimestamp();
        var load = Task.WhenAll(Enumerable.Range(0, Streams).Select(_ => StreamAsync(ct)));
        var kills = Enumerable.Range(0, workerKills + gatewayKills).Select(i => i < workerKills).ToArray();
        random.Shuffle(kills);
        foreach (var isWorker in kills)
        {
            var next = Interlocked.Read(ref events) + EventsBetweenKills;
            while (Interlocked.Read(ref events) < next && !load.IsCompleted)
                await Task.Delay(Pause, TimeProvider.System, ct);
            if (isWorker) await KillWorkerAsync(ct);
            else await KillGatewayAsync();
        }

        Volatile.Write(ref isOver, 1);
        await load;
        foreach (var gateway in gateways) continued += await ContinuedAsync(gateway!);
        return Report(TimeProvider.System.GetElapsedTime(began));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var gateway in gateways)
            if (gateway is not null) await gateway.DisposeAsync();
        await redis.DisposeAsync();
        Directory.Delete(payloads, recursive: true);
    }

    private Task<GatewayProcess> StartAsync() => GatewayProcess.StartAsync(
        """
        templates:
          - name: onnx-cpu
            concurrency: 64
        endpoints:
          - { id: story, template: onnx-cpu, scaling: { min: 3, max: 4, idleTimeout: 600s } }

        """,
        environment: new Dictionary<string, string?>
        {
            ["SLUICE_REDIS"] = redis.ConnectionString,
            ["SLUICE_ADMIN_KEY"] = "one-admin-key-of-all-gateways",
            ["SLUICE_PAYLOADS"] = payloads,
        });

    private static JsonObject Request(int i) => new()
    {
        ["model"] = "story",
        ["messages"] = new JsonArray(new JsonObject
        {
            ["role"] = "user", ["content"] = $"Write a story about number {i}.",
        }),
        ["stream"] = true,
        ["stream_options"] = new JsonObject { ["include_usage"] = true },
        ["temperature"] = 0,
        ["max_tokens"] = Tokens,
        ["ignore_eos"] = true,
    };

    /// <summary>Streams one text after another until the kills are over.</summary>
    private async Task StreamAsync(CancellationToken ct)
    {
        while (Volatile.Read(ref isOver) == 0)
        {
            var n = Interlocked.Increment(ref started);
            if (gateways[n % 2] is not { } gateway)
            {
                await Task.Delay(Pause, TimeProvider.System, ct);
                continue;
            }

            try
            {
                var last = 0L;
                var longest = TimeSpan.Zero;
                var text = await TextClient.SendAsync(gateway.Client, Request(n % Prompts), _ =>
                {
                    Interlocked.Increment(ref events);
                    if (last > 0 && TimeProvider.System.GetElapsedTime(last) is var gap && gap > longest) longest = gap;
                    last = TimeProvider.System.GetTimestamp();
                    return Task.CompletedTask;
                }, ct);
                gaps.Add(longest.TotalSeconds);
                if (text.Text == expected[n % Prompts]) Interlocked.Increment(ref whole);
                else failures.Enqueue($"another text: stream {n}");
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                // The gateway of the stream was killed, or its client was disposed afterwards.
                if (!ReferenceEquals(gateways[n % 2], gateway)) Interlocked.Increment(ref lostWithGateway);
                else failures.Enqueue($"{e.GetType().Name}: {e.Message.ReplaceLineEndings(" ")}");
            }
        }
    }

    private async Task KillWorkerAsync(CancellationToken ct)
    {
        while (true)
        {
            var ready = await gateways.First(g => g is not null)!.WorkersAsync("story", "ready");
            if (ready.Count > 0)
            {
                ChildProcess.Signal((int)ready[random.Next(ready.Count)]["processId"]!, ChildProcess.Sigkill);
                return;
            }

            await Task.Delay(Pause, TimeProvider.System, ct);
        }
    }

    private async Task KillGatewayAsync()
    {
        var at = random.Next(gateways.Length);
        var victim = gateways[at]!;
        continued += await ContinuedAsync(victim);
        gateways[at] = null;
        victim.Process.Signal(ChildProcess.Sigkill);
        await victim.Process.ExitAsync();
        await victim.DisposeAsync();
        gateways[at] = await StartAsync();
    }

    private static Task<double> ContinuedAsync(GatewayProcess gateway) =>
        gateway.MetricAsync("sluice_streams_continued_total", "endpoint=\"story\"");

    private string Report(TimeSpan took)
    {
        var text = new StringBuilder();
        text.AppendLine(
            CultureInfo.InvariantCulture, $"Seed {seed}, {took.TotalSeconds:0} s, {Streams} streams at a time.");
        text.AppendLine();
        text.AppendLine("| what | seen |").AppendLine("|---|---|");
        Row("killed", $"{workerKills} workers, {gatewayKills} gateways");
        Row("streams that were whole and equal to the undisturbed text", $"{whole}");
        Row("of them continued by another worker", $"{continued:0}");
        Row("**streams of surviving gateways with an error or another text**", $"**{failures.Count}**");
        foreach (var failure in failures.Take(20)) Row("failure", failure);
        Row("streams that ended with their own gateway", $"{lostWithGateway}");
        Row("events of text", $"{events}");
        Row("longest time between two events of a stream, in seconds", FaultMatrix.Spread(gaps));
        return text.ToString();

        void Row(string what, string seen) => text.AppendLine(CultureInfo.InvariantCulture, $"| {what} | {seen} |");
    }
}
