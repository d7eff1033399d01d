using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>
/// Tests that keys share a worker by tokens. The worker has one slot, and notes the order of its requests.
/// </summary>
public sealed class TokenFairnessTest : IDisposable
{
    /// <summary>Tokens of a prompt, as the stub worker counts them.</summary>
    private const int Prompt = 5;

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-fairness-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task A_key_with_long_answers_gets_fewer_of_them_and_the_same_tokens()
    {
        var log = Path.Combine(folder, "log");
        await using var gateway = await InProcessGateway.StartAsync(Jobs.Manifest(log, concurrency: 1));
        using var brief = await ClientAsync(gateway);
        using var lengthy = await ClientAsync(gateway);
        // The gateway learns the tokens of a request of each key.
        await SendAsync(brief, "first-brief", Words(5));
        await SendAsync(lengthy, "first-lengthy", Words(95));

        // All requests wait before the first of them gets the slot.
        var gate = Path.Combine(folder, "gate");
        var holding = SendAsync(gateway.Client, "gate", new() { ["words"] = 1, ["at"] = 0, ["gate"] = gate });
        await Eventually.HoldsAsync(() => StubLog.Lines(log).Contains("begin gate 1"));
        var sent = Enumerable.Range(0, 80).Select(n => SendAsync(brief, $"brief-{n}", Words(5)))
            .Concat(Enumerable.Range(0, 8).Select(n => SendAsync(lengthy, $"lengthy-{n}", Words(95)))).ToList();
        await Eventually.HoldsAsync(
            async () => await gateway.MetricAsync("sluice_queue_depth", "endpoint=\"stub\"") == 88,
            "all requests wait");
        await File.WriteAllTextAsync(gate, "");
        await Task.WhenAll(sent.Append(holding));

        var order = StubLog.Lines(log).Where(l => l.StartsWith("begin", StringComparison.Ordinal))
            .Select(l => l.Split(' ')[1]).SkipWhile(id => id != "gate").Skip(1).ToList();
        Assert.Equal(88, order.Count);
        // Both keys have 800 tokens. The cost of a request is rounded by up to 9 %, and a long answer is one of eight.
        var (briefly, atLength) = (0, 0);
        foreach (var id in order)
        {
            if (id.StartsWith("brief", StringComparison.Ordinal)) briefly += Prompt + 5;
            else atLength += Prompt + 95;
            if (briefly == 800 || atLength == 800) break;
            Assert.InRange(briefly - atLength, -250, 250);
        }
    }

    private static JsonObject Words(int count) => new() { ["words"] = count };

    private static async Task<HttpClient> ClientAsync(InProcessGateway gateway)
    {
        using var created = await gateway.Client.PostAsJsonAsync("/api/v1/keys",
            new { name = "test", invoke = new[] { "stub" } });
        return gateway.ClientFor((string)(await created.Content.ReadFromJsonAsync<JsonObject>())!["key"]!);
    }

    private static async Task SendAsync(HttpClient client, string id, JsonObject content)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = JsonContent.Create(new
            {
                model = "stub",
                messages = new[] { new { role = "user", content = content.ToJsonString() } },
            }, MediaTypeHeaderValue.Parse("application/json")),
        };
        request.Headers.Add("X-Request-Id", id);
        using var answer = await client.SendAsync(request);
        answer.EnsureSuccessStatusCode();
    }
}
