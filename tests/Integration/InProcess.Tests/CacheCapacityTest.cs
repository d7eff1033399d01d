using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests that a worker gets only texts for which its key/value cache has room.</summary>
[Trait("Needs", "publish")]
public sealed class CacheCapacityTest
{
    /// <summary>
    /// 1,024 tokens of the model <c>story</c>: 4 layers, 2 heads of width 32 for keys and for values, 4 bytes each.
    /// Two texts of more than 256 tokens fit.
    /// </summary>
    private const int CacheBytes = 1024 * 4 * 2 * 2 * 32 * 4;

    private const int Texts = 8;

    [Theory]
    [InlineData(0, false)]
    [InlineData(1_000_000_000, true)]
    public async Task No_text_is_preempted_unless_dispatch_counts_only_requests(long declared, bool preempts)
    {
        await using var gateway = await InProcessGateway.StartAsync(
            $$"""
            templates:
              - name: onnx-cpu
                concurrency: 16
                cacheTokens: {{declared}}
                env: { SLUICE_KV_CACHE_BYTES: "{{CacheBytes}}" }
            endpoints:
              - { id: story, template: onnx-cpu, scaling: { min: 1, max: 1, idleTimeout: 600s } }

            """, InProcessGateway.WithWorker());
        await Task.WhenAll(Enumerable.Range(0, Texts).Select(i => GenerateAsync(gateway, i)));
        Assert.Equal(
            preempts,
            await gateway.MetricAsync("sluice_generation_preemptions_total", path: "/metrics/workers") > 0);
        Assert.Equal(1024, await gateway.MetricAsync(
            "sluice_generation_cache_capacity_tokens", path: "/metrics/workers"));
    }

    private static async Task GenerateAsync(InProcessGateway gateway, int i)
    {
        using var response = await gateway.Client.PostAsJsonAsync("/v1/completions", new JsonObject
        {
            ["model"] = "story",
            ["prompt"] = $"Once upon a time, number {i}",
            ["max_tokens"] = 400,
            ["ignore_eos"] = true,
        });
        var answer = (await response.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<JsonObject>())!;
        Assert.Equal(400, (int)answer["usage"]!["completion_tokens"]!);
    }
}
