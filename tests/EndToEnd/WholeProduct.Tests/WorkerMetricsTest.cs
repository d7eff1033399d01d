using System.Globalization;
using System.Net;
using System.Text;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>One scrape of the gateway tells what all of its workers tell: built-in ones, others, and those that say nothing.</summary>
public sealed class WorkerMetricsTest
{
    private static readonly string Manifest = $$"""
        templates:
          - { name: onnx-cpu, concurrency: 8 }
          - name: files
            command: [/usr/bin/python3, -m, http.server, --bind, 127.0.0.1, "{port}"]
            protocol: http1
            readyPath: /
          - name: silent
            command: [/usr/bin/python3, "{{Repository.HostileWorker}}", "{port}", /tmp]
            protocol: http1
            readyPath: /ready
        endpoints:
          - { id: digits, template: onnx-cpu, scaling: { min: 2 } }
          - { id: story, template: onnx-cpu, scaling: { min: 1 } }
          - { id: files, template: files, scaling: { min: 1 } }
          - { id: silent, template: silent, scaling: { min: 1 } }
        """;

    [Fact]
    public async Task The_gateway_tells_the_metrics_of_all_of_its_workers()
    {
        await using var gateway = await GatewayProcess.StartAsync(Manifest);
        foreach (var (endpoint, workers) in new[] { ("digits", 2), ("story", 1), ("files", 1), ("silent", 1) })
            await gateway.UntilAsync($"/api/v1/endpoints/{endpoint}/workers",
                told => told["workers"]!.AsArray().Count(w => (string)w!["state"]! == "ready") == workers);
        using (var answer = await gateway.Client.PostAsync("/v2/models/digits/infer", new StringContent(GatewayProcess.Example("digits"), Encoding.UTF8)))
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);

        var text = await gateway.Client.GetStringAsync("/metrics/workers");
        var lines = text.Split('\n');
        var pods = (await gateway.WorkersAsync("digits")).Select(w => (string)w["id"]!).Order(StringComparer.Ordinal).ToList();
        Assert.Equal(pods.Select(p => $"sluice_worker_scrape_up{{endpoint=\"digits\",pod=\"{p}\"}} 1"),
            lines.Where(l => l.StartsWith("sluice_worker_scrape_up{endpoint=\"digits", StringComparison.Ordinal)));
        Assert.Single(lines, l => l.StartsWith("sluice_worker_scrape_up{endpoint=\"story\"", StringComparison.Ordinal) && l.EndsWith(" 1", StringComparison.Ordinal));
        Assert.Single(lines, l => l.StartsWith("sluice_worker_scrape_up{endpoint=\"silent\"", StringComparison.Ordinal) && l.EndsWith(" 0", StringComparison.Ordinal));
        Assert.DoesNotContain("\"files\"", text, StringComparison.Ordinal);
        Assert.DoesNotContain("left_out", text, StringComparison.Ordinal);
        Assert.Equal(1, pods.Sum(p => Value(lines, $"sluice_model_requests_total{{endpoint=\"digits\",pod=\"{p}\",model=\"digits\",version=\"1\",result=\"success\"}}")));
        Assert.Single(lines, l => l.StartsWith("# TYPE sluice_model_stage_seconds ", StringComparison.Ordinal));
        Assert.Equal(3, lines.Count(l => l.StartsWith("sluice_worker_memory_bytes{", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task What_it_tells_is_clean_by_promtool_and_for_admins_only()
    {
        Require.Program("promtool", "prometheus");
        await using var gateway = await GatewayProcess.StartAsync(Manifests.With(Manifests.Endpoint("digits"), Manifests.Endpoint("story")));
        foreach (var model in new[] { "digits", "story" })
            using (var answer = await gateway.Client.GetAsync($"/v2/models/{model}")) Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        using (var stranger = gateway.ClientFor(null))
        using (var refused = await stranger.GetAsync("/metrics/workers")) Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        var file = Path.Combine(gateway.Folder, "metrics.txt");
        await File.WriteAllTextAsync(file, await gateway.Client.GetStringAsync("/metrics/workers"));
        // The names of vLLM have a colon, which promtool keeps for recorded rules.
        await using var promtool = new ChildProcess("/bin/sh",
            ["-c", $"grep -q vllm: '{file}' && grep -v vllm: '{file}' | promtool check metrics"], new Dictionary<string, string?>());
        Assert.True(await promtool.ExitAsync() == 0, promtool.Output);
        Assert.Equal("", promtool.Output);
    }

    private static double Value(string[] lines, string series) => double.Parse(
        Assert.Single(lines, l => l.StartsWith(series + " ", StringComparison.Ordinal))[(series.Length + 1)..], CultureInfo.InvariantCulture);
}
