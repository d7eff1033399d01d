using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Conversations at three workers, with the preference for the worker that has read the turns before, and without it.
/// Measures which part of the prompts was cached, the time to the first token, and how unequally the workers are used.
/// </summary>
public static class Conversations
{
    private const int Workers = 3, Concurrency = 16, Users = 12, Talks = 4, Turns = 6, AnswerTokens = 12;

    /// <summary>Runs the scenario, and returns its report.</summary>
    /// <param name="rounds">Number of rounds of both ways, alternating.</param>
    /// <param name="ct">Ends the run.</param>
    public static async Task<string> RunAsync(int rounds, CancellationToken ct)
    {
        var (with, without) = (new List<Round>(), new List<Round>());
        for (var round = 0; round < rounds; round++)
            foreach (var prefers in round % 2 == 0 ? new[] { true, false } : [false, true])
                (prefers ? with : without).Add(await MeasureAsync(prefers, round, ct));
        return Report(with, without);
    }

    private static async Task<Round> MeasureAsync(bool prefers, int seed, CancellationToken ct)
    {
        await using var gateway = await GatewayProcess.StartAsync(
            $$"""
            templates:
              - name: onnx-cpu
                concurrency: {{Concurrency}}
            endpoints:
              - id: story
                template: onnx-cpu
                scaling: { min: {{Workers}}, max: {{Workers}}, idleTimeout: 600s }
                forwarding: { prefersCached: {{(prefers ? "true" : "false")}} }

            """);
        while ((await gateway.WorkersAsync("story", "ready")).Count < Workers)
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, ct);
        var turns = new ConcurrentBag<Turn>();
        await Task.WhenAll(Enumerable.Range(0, Users).Select(async user =>
        {
            var random = new Random((seed * Users) + user);
            for (var talk = 0; talk < Talks; talk++) await TalkAsync(gateway.Client, random, turns, ct);
        }));
        return new Round(
            100.0 * turns.Sum(t => t.Cached) / turns.Sum(t => t.Prompt),
            100.0 * turns.Where(t => t.IsLater).Sum(t => t.Cached) / turns.Where(t => t.IsLater).Sum(t => t.Prompt),
            [.. turns.Where(t => t.IsLater).Select(t => t.FirstMs).Order()],
            MostUnequal(turns));
    }

    private static async Task TalkAsync(HttpClient client, Random random, ConcurrentBag<Turn> turns, CancellationToken ct)
    {
        var messages = new JsonArray();
        for (var turn = 0; turn < Turns; turn++)
        {
            messages.Add(new JsonObject { ["role"] = "user", ["content"] = Words(random, turn == 0 ? 30 : 6) });
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
            {
                Content = JsonContent.Create(new JsonObject
                {
                    ["model"] = "story",
                    ["messages"] = messages.DeepClone(),
                    ["stream"] = true,
                    ["stream_options"] = new JsonObject { ["include_usage"] = true },
                    ["temperature"] = 0,
                    ["max_tokens"] = AnswerTokens,
                    ["ignore_eos"] = true,
                }),
            };
            var began = Stopwatch.GetTimestamp();
            using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
            var worker = response.EnsureSuccessStatusCode().Headers.GetValues("X-Sluice-Worker").Single();
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(ct));
            var (answer, first, usage) = (new StringBuilder(), TimeSpan.Zero, (JsonNode?)null);
            while (await reader.ReadLineAsync(ct) is { } line)
            {
                if (!line.StartsWith("data: {", StringComparison.Ordinal)) continue;
                var part = JsonNode.Parse(line["data: ".Length..])!;
                usage = part["usage"] ?? usage;
                if ((string?)part["choices"]?.AsArray().FirstOrDefault()?["delta"]?["content"] is not { Length: > 0 } text)
                    continue;
                if (answer.Length == 0) first = Stopwatch.GetElapsedTime(began);
                answer.Append(text);
            }

            turns.Add(new Turn(worker, turn > 0, began, Stopwatch.GetTimestamp(), first.TotalMilliseconds,
                (int)usage!["prompt_tokens"]!, (int)usage["prompt_tokens_details"]!["cached_tokens"]!));
            messages.Add(new JsonObject { ["role"] = "assistant", ["content"] = answer.ToString() });
        }
    }

    private static string Words(Random random, int count) => string.Join(
        ' ', Enumerable.Range(0, count).Select(_ => random.Next(100, 1000).ToString(CultureInfo.InvariantCulture)));

    /// <summary>
    /// Returns the largest difference between the requests of two workers at one time. A request counts from its
    /// sending to its end.
    /// </summary>
    private static int MostUnequal(IEnumerable<Turn> turns)
    {
        var all = turns.ToList();
        var use = all.Select(t => t.Worker).Distinct().ToDictionary(w => w, _ => 0);
        var most = 0;
        foreach (var (_, worker, change) in all.Select(t => (At: t.Began, t.Worker, Change: 1))
            .Concat(all.Select(t => (At: t.Ended, t.Worker, Change: -1))).OrderBy(c => c.At))
        {
            use[worker] += change;
            most = Math.Max(most, use.Values.Max() - (use.Count < Workers ? 0 : use.Values.Min()));
        }

        return most;
    }

    private static string Report(List<Round> with, List<Round> without)
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{Users} users at a time, {Talks} conversations of {Turns} turns each, {Workers} workers of {Concurrency} slots; margin {Math.Max(1, Concurrency / 8)}. {with.Count} rounds, alternating; medians with their range.");
        text.AppendLine().AppendLine("| | preferred worker | by load only |").AppendLine("|---|---|---|");
        Row("cached part of all prompts, %", r => r.CachedPercent);
        Row("cached part of prompts from the second turn on, %", r => r.LaterPercent);
        Row("time to the first token from the second turn on, p50 ms", r => r.Quantile(0.5));
        Row("the same, p99 ms", r => r.Quantile(0.99));
        Row("largest difference between the requests of two workers", r => r.MostUnequal);
        return text.ToString();

        void Row(string what, Func<Round, double> value) => text.AppendLine(
            CultureInfo.InvariantCulture, $"| {what} | {Spread(with, value)} | {Spread(without, value)} |");
    }

    private static string Spread(List<Round> rounds, Func<Round, double> value)
    {
        var all = rounds.Select(value).Order().ToList();
        return string.Create(CultureInfo.InvariantCulture, $"{all[all.Count / 2]:0.#} ({all[0]:0.#}-{all[^1]:0.#})");
    }

    private sealed record Turn(
        string Worker, bool IsLater, long Began, long Ended, double FirstMs, int Prompt, int Cached);

    private sealed record Round(double CachedPercent, double LaterPercent, double[] FirstMs, int MostUnequal)
    {
        public double Quantile(double share) => FirstMs[(int)Math.Min(FirstMs.Length - 1, share * FirstMs.Length)];
    }
}
