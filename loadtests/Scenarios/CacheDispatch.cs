using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Short and long texts at two workers with a small key/value cache: dispatch by a number of slots, and by the room in
/// the cache. Measures preemptions, tokens that were read again, tokens per second, and the time to the first token.
/// </summary>
public static class CacheDispatch
{
    private const int Workers = 2, Users = 48, Texts = 8, CacheTokens = 4096;

    /// <summary>
    /// Of the model <c>story</c>: 4 layers, 2 heads of width 32 for keys and for values, 4 bytes each.
    /// </summary>
    private const int TokenBytes = 4 * 2 * 2 * 32 * 4;

    private static readonly Way[] Ways =
    [
        new("by cache, 32 slots", 32, 0),
        new("32 slots", 32, 1_000_000_000),
        new("8 slots", 8, 1_000_000_000),
    ];

    /// <summary>Runs the scenario, and returns its report.</summary>
    /// <param name="rounds">Number of rounds of all ways, in a different order each time.</param>
    /// <param name="ct">Ends the run.</param>
    public static async Task<string> RunAsync(int rounds, CancellationToken ct)
    {
        var measured = Ways.ToDictionary(w => w, _ => new List<Round>());
        for (var round = 0; round < rounds; round++)
            for (var i = 0; i < Ways.Length; i++)
            {
                var way = Ways[(i + round) % Ways.Length];
                measured[way].Add(await MeasureAsync(way, round, ct));
            }

        return Report(measured);
    }

    private static async Task<Round> MeasureAsync(Way way, int seed, CancellationToken ct)
    {
        await using var gateway = await GatewayProcess.StartAsync(
            $$"""
            templates:
              - name: onnx-cpu
                concurrency: {{way.Slots}}
                cacheTokens: {{way.Declared}}
                env: { SLUICE_KV_CACHE_BYTES: "{{CacheTokens * TokenBytes}}" }
            endpoints:
              - { id: story, template: onnx-cpu, scaling: { min: {{Workers}}, max: {{Workers}}, idleTimeout: 600s } }

            """);
        while ((await gateway.WorkersAsync("story", "ready")).Count < Workers)
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, ct);
        var texts = new ConcurrentBag<Text>();
        var began = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, Users).Select(async user =>
        {
            var random = new Random((seed * Users) + user);
            for (var i = 0; i < Texts; i++) texts.Add(await GenerateAsync(gateway.Client, random, ct));
        }));
        var seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
        return new Round(
            await WorkersAsync("sluice_generation_preemptions_total"),
            await WorkersAsync("sluice_generation_recomputed_tokens_total"),
            texts.Sum(t => t.Tokens) / seconds,
            [.. texts.Select(t => t.FirstMs).Order()],
            [.. texts.Select(t => t.LastMs / t.Tokens).Order()]);

        Task<double> WorkersAsync(string name) => gateway.MetricAsync(name, path: "/metrics/workers");
    }

    /// <summary>Generates a text: one of four is long.</summary>
    private static async Task<Text> GenerateAsync(HttpClient client, Random random, CancellationToken ct)
    {
        var tokens = random.Next(4) == 0 ? random.Next(300, 400) : random.Next(40, 120);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = JsonContent.Create(new JsonObject
            {
                ["model"] = "story",
                ["prompt"] = $"Once upon a time, {random.Next(1_000_000)}",
                ["stream"] = true,
                ["max_tokens"] = tokens,
                ["ignore_eos"] = true,
            }),
        };
        var began = Stopwatch.GetTimestamp();
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
        using var reader = new StreamReader(await response.EnsureSuccessStatusCode().Content.ReadAsStreamAsync(ct));
        var first = TimeSpan.Zero;
        while (await reader.ReadLineAsync(ct) is { } line)
            if (first == TimeSpan.Zero && line.StartsWith("data: {", StringComparison.Ordinal))
                first = Stopwatch.GetElapsedTime(began);
        return new Text(tokens, first.TotalMilliseconds, Stopwatch.GetElapsedTime(began).TotalMilliseconds);
    }

    private static string Report(Dictionary<Way, List<Round>> measured)
    {
        var text = new StringBuilder();
        var invariant = CultureInfo.InvariantCulture;
        text.Append(invariant, $"{Users} clients, {Texts} texts each, of 40 to 119 tokens or (a quarter) 300 to 399; ")
            .Append(invariant, $"{Workers} workers with a cache of {CacheTokens} tokens. ")
            .AppendLine(invariant, $"{measured[Ways[0]].Count} rounds, alternating; medians with their range.");
        text.AppendLine().AppendLine($"| | {string.Join(" | ", Ways.Select(w => w.Name))} |");
        text.AppendLine($"|---|{string.Concat(Enumerable.Repeat("---|", Ways.Length))}");
        Row("preemptions", r => r.Preemptions);
        Row("tokens that were read again", r => r.Recomputed);
        Row("generated tokens per second", r => r.PerSecond);
        Row("time to the first token, p50 ms", r => Round.Quantile(r.FirstMs, 0.5));
        Row("the same, p99 ms", r => Round.Quantile(r.FirstMs, 0.99));
        Row("whole time per token, p50 ms", r => Round.Quantile(r.EachMs, 0.5));
        return text.ToString();

        void Row(string what, Func<Round, double> value) =>
            text.AppendLine($"| {what} | {string.Join(" | ", Ways.Select(w => Spread(measured[w], value)))} |");
    }

    private static string Spread(List<Round> rounds, Func<Round, double> value)
    {
        var all = rounds.Select(value).Order().ToList();
        return string.Create(CultureInfo.InvariantCulture, $"{all[all.Count / 2]:0.#} ({all[0]:0.#}-{all[^1]:0.#})");
    }

    private sealed record Way(string Name, int Slots, long Declared);

    private sealed record Text(int Tokens, double FirstMs, double LastMs);

    private sealed record Round(
        double Preemptions, double Recomputed, double PerSecond, double[] FirstMs, double[] EachMs)
    {
        public static double Quantile(double[] sorted, double share) =>
            sorted[(int)Math.Min(sorted.Length - 1, share * sorted.Length)];
    }
}
