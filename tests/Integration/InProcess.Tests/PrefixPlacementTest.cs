using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests that the turns of a conversation meet the worker whose cache has the turns before.</summary>
[Trait("Needs", "publish")]
public sealed class PrefixPlacementTest
{
    private const int Conversations = 4, Turns = 4;

    [Fact]
    public async Task The_turns_of_a_conversation_are_read_by_the_worker_that_read_the_turns_before()
    {
        await using var gateway = await InProcessGateway.StartAsync(
            """
            templates:
              - name: onnx-cpu
                concurrency: 16
            endpoints:
              - { id: story, template: onnx-cpu, scaling: { min: 3, max: 3, idleTimeout: 600s } }

            """, InProcessGateway.WithWorker());
        await Eventually.HoldsAsync(
            async () => (await gateway.WorkersAsync("story", "ready")).Count == 3, "three workers are ready");
        var seen = await Task.WhenAll(Enumerable.Range(0, Conversations).Select(i => TalkAsync(gateway, i)));
        Assert.All(seen, turns => Assert.Single(turns.Select(t => t.Worker).Distinct()));
        // The first turn is new. Each later one has at least the messages of the turn before in the cache.
        Assert.All(seen, turns => Assert.All(
            turns.Zip(turns.Skip(1)), pair => Assert.InRange(pair.Second.Cached, pair.First.Prompt - 16, int.MaxValue)));
        Assert.Equal(Conversations * (Turns - 1), await gateway.MetricAsync(
            "sluice_prefix_placements_total", "endpoint=\"story\",worker=\"preferred\""));
    }

    private static async Task<List<(string Worker, int Prompt, int Cached)>> TalkAsync(InProcessGateway gateway, int i)
    {
        var messages = new JsonArray();
        var seen = new List<(string Worker, int Prompt, int Cached)>();
        for (var turn = 0; turn < Turns; turn++)
        {
            // A turn repeats more than it adds.
            var text = string.Join(' ', Enumerable.Repeat("a story", turn == 0 ? 80 : 20));
            messages.Add(new JsonObject
            {
                ["role"] = "user", ["content"] = $"Conversation {i}, turn {turn}: {text}",
            });
            using var response = await gateway.Client.PostAsJsonAsync("/v1/chat/completions", new JsonObject
            {
                ["model"] = "story",
                ["messages"] = messages.DeepClone(),
                ["temperature"] = 0,
                ["max_tokens"] = 8,
            });
            var answer = (await response.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<JsonObject>())!;
            var usage = answer["usage"]!;
            seen.Add((response.Headers.GetValues("X-Sluice-Worker").Single(), (int)usage["prompt_tokens"]!,
                (int)usage["prompt_tokens_details"]!["cached_tokens"]!));
            messages.Add(answer["choices"]![0]!["message"]!.DeepClone());
        }

        return seen;
    }
}
