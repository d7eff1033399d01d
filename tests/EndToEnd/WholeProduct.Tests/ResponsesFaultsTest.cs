using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>Tests a response in the background whose gateway is killed, with the published gateways.</summary>
public sealed class ResponsesFaultsTest : IAsyncLifetime
{
    private const int Words = 12, Pause = 6;

    private readonly JobCluster cluster = new();
    private readonly string gate = Path.Combine(Path.GetTempPath(), $"sluice-gate-{Guid.NewGuid():N}");

    public ValueTask InitializeAsync() => cluster.Redis.InitializeAsync();

    public async ValueTask DisposeAsync()
    {
        File.Delete(gate);
        await cluster.DisposeAsync();
    }

    [Fact]
    public async Task The_official_client_continues_a_stream_at_another_gateway_when_its_own_is_killed()
    {
        Require.Program("node", "nodejs and npm, which fetch openai");
        var client = Path.Combine(Repository.Root, "tests", "Unit", "Worker.Tests", "openai");
        await using var first = await cluster.StartAsync();
        await using var second = await cluster.StartAsync();
        var input = new JsonObject { ["words"] = Words, ["at"] = Pause, ["gate"] = gate }.ToJsonString();
        await using var node = new ChildProcess("/usr/bin/env",
            ["node", Path.Combine(client, "background.mjs"), new Uri(first.Url, "/v1").ToString(),
                new Uri(second.Url, "/v1").ToString(), first.Key, "stub", input, $"w{Pause - 1} "],
            new Dictionary<string, string?>());
        await node.LineAsync("reached");
        first.Process.Signal(ChildProcess.Sigkill);
        await node.LineAsync("cut");
        await File.WriteAllTextAsync(gate, "");
        var seen = JsonNode.Parse(await node.LineAsync("{\"events\""))!;

        var text = string.Concat(Enumerable.Range(0, Words).Select(i => $"w{i} "));
        var events = seen["events"]!.AsArray();
        Assert.Equal(Enumerable.Range(0, events.Count), events.Select(e => (int)e!["sequence_number"]!));
        Assert.Equal("response.completed", (string?)events[^1]!["type"]);
        Assert.Equal(text, string.Concat(events.Where(e => (string?)e!["type"] == "response.output_text.delta")
            .Select(e => (string?)e!["delta"])));
        Assert.Equal((text, "completed"), ((string?)seen["got"]!["output_text"], (string?)seen["got"]!["status"]));
        Assert.Equal(text, (string?)seen["helped"]);
        Assert.Equal("completed", (string?)seen["cancelled"]!["status"]);
        await new Jobs(second).QuietAsync();
    }
}
