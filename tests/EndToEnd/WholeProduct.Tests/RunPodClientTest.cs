using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>Tests RunPod's JavaScript client from npm. Only its base URL is changed.</summary>
public sealed class RunPodClientTest
{
    [Fact]
    public async Task The_client_runs_unmodified()
    {
        Require.Program("node", "nodejs and npm, which fetch runpod-sdk");
        var folder = Path.Combine(Repository.Root, "tests", "EndToEnd", "WholeProduct.Tests", "runpod");
        Assert.True(Directory.Exists(Path.Combine(folder, "node_modules", "runpod-sdk")),
            "npm ci has not run: make test runs it");
        var log = Path.GetTempFileName();
        await using var gateway = await GatewayProcess.StartAsync(Jobs.Manifest(log).Replace("endpoints:",
            "  - { name: onnx }\nendpoints:\n  - { id: story, template: onnx }", StringComparison.Ordinal));

        await using var client = new ChildProcess("/usr/bin/env",
            ["node", Path.Combine(folder, "client.mjs"), $"{gateway.Url}v2", gateway.Key],
            new Dictionary<string, string?>());
        var seen = JsonNode.Parse(await client.LineAsync("{\"run\""))!;

        Assert.Equal("IN_QUEUE", (string?)seen["run"]!["status"]);
        Assert.Equal("COMPLETED", (string?)seen["status"]!["status"]);
        Assert.Equal("hello", (string?)seen["status"]!["output"]!["text"]);
        Assert.True((double)seen["status"]!["delayTime"]! > 0 && (double)seen["status"]!["executionTime"]! >= 0);
        Assert.Equal(1, (int)seen["runSync"]!["output"]!["n"]!);
        Assert.True((bool)seen["runSync"]!["completed"]!);
        Assert.Equal("COMPLETED", (string?)seen["statusSync"]!["status"]);
        Assert.Equal(Enumerable.Range(0, 20), seen["stream"]!.AsArray().Select(c => (int)c!["n"]!));
        Assert.Equal(12, seen["text"]!.AsArray().Count);
        Assert.Equal((string?)seen["textStatus"]!["output"]!["text_output"],
            string.Concat(seen["text"]!.AsArray().Select(c => (string?)c!["text_output"])));
        Assert.Equal("CANCELLED", (string?)seen["cancel"]!["status"]);
        Assert.Equal("CANCELLED", (string?)seen["cancelled"]!["status"]);
        // Thirty jobs, and the job whose runSync timed out, which may have ended since then.
        Assert.InRange((int)seen["health"]!["jobs"]!["inQueue"]! + (int)seen["health"]!["jobs"]!["inProgress"]!, 30,
            31);
        Assert.Equal("completed", (string?)seen["purgeQueue"]!["status"]);
        Assert.InRange((int)seen["purgeQueue"]!["removed"]!, 22, 30);
        Assert.Equal("FAILED", (string?)seen["failed"]!["status"]);
        Assert.Equal("the handler said no", (string?)seen["failed"]!["error"]);
        Assert.Equal(404, (int)seen["unknown"]!);
        await new Jobs(gateway).QuietAsync();
        StubLog.Delete(log);
    }
}
