using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests that the scaler TOKENS starts workers for long texts, with real workers and a small cache.</summary>
[Trait("Needs", "publish")]
public sealed class TokensScalingTest
{
    /// <summary>1,024 tokens, as in <see cref="CacheCapacityTest"/>: two texts of more than 256 tokens.</summary>
    private const int CacheBytes = 1024 * 4 * 2 * 2 * 32 * 4;

    private const int Clients = 6;

    [Fact]
    public async Task Long_texts_that_fill_the_cache_of_a_worker_start_another_one()
    {
        await using var gateway = await InProcessGateway.StartAsync(
            $$"""
            templates:
              - { name: onnx-cpu, concurrency: 16, env: { SLUICE_KV_CACHE_BYTES: "{{CacheBytes}}" } }
            endpoints:
              - { id: story, template: onnx-cpu, scaling: { scaler: TOKENS, max: 2, idleTimeout: 600s } }

            """, InProcessGateway.WithWorker());
        using var stop = new CancellationTokenSource();
        var clients = Enumerable.Range(0, Clients).Select(i => GenerateAsync(gateway, i, stop.Token)).ToList();
        await Eventually.HoldsAsync(
            async () => clients.Exists(c => c.IsFaulted) || (await gateway.WorkersAsync("story", "ready")).Count == 2,
            "two workers are ready");
        await Eventually.HoldsAsync(
            async () => await TokensAsync(gateway, "capacity") >= 2048 && await TokensAsync(gateway, "in_flight") > 0,
            "the metric has the capacity of both workers and the tokens in flight");
        await stop.CancelAsync();
        // Six requests fit into the slots of one worker.
        await Task.WhenAll(clients);
        var decisions = await gateway.Client.GetFromJsonAsync<JsonObject>("/api/v1/endpoints/story/decisions");
        var decision = decisions!["changes"]!.AsArray().First(d => (int)d!["desired"]! == 2)!;
        Assert.Equal("TOKENS", (string?)decision["scaler"]);
        var tokens = (int)decision["inputs"]!["tokensInFlight"]!;
        Assert.Equal(1024, (int)decision["inputs"]!["tokensPerWorker"]!);
        var waiting = (int?)decision["inputs"]!["tokensWaiting"] ?? 0;
        Assert.True(tokens + waiting > 716, $"{tokens} + {waiting} tokens; expected more than 70 % of 1,024");
        Assert.Contains($"{tokens} tokens in flight", (string?)decision["because"], StringComparison.Ordinal);
        Assert.Equal(
            0, await gateway.MetricAsync("sluice_generation_preemptions_total", path: "/metrics/workers"));
    }

    private static Task<double> TokensAsync(InProcessGateway gateway, string state) =>
        gateway.MetricAsync("sluice_scaling_tokens", $"endpoint=\"story\",state=\"{state}\"");

    /// <summary>Generates texts until it is stopped; the last one is generated to its end.</summary>
    private static async Task GenerateAsync(InProcessGateway gateway, int i, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            using var response = await gateway.Client.PostAsJsonAsync(
                "/v1/completions",
                new JsonObject
                {
                    ["model"] = "story",
                    ["prompt"] = $"Once upon a time, number {i}",
                    ["max_tokens"] = 400,
                    ["ignore_eos"] = true,
                },
                CancellationToken.None);
            response.EnsureSuccessStatusCode();
        }
    }
}
