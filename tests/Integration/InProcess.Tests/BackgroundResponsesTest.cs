using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;
using static Sluice.InProcess.Tests.ResponsesApiTest;

namespace Sluice.InProcess.Tests;

/// <summary>Tests responses in the background, with restarts, two gateways and workers that die.</summary>
public sealed class BackgroundResponsesTest : IAsyncLifetime
{
    private readonly string log = Path.GetTempFileName();
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-gates-").FullName;

    private string Gate => Path.Combine(folder, "gate");

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync()
    {
        StubLog.Delete(log);
        Directory.Delete(folder, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_response_runs_in_the_background_and_its_conversation_continues()
    {
        await using var gateway = await StartAsync();
        var id = await CreateAsync(gateway, Ask(words: 3, at: 1), isStreamed: false);
        await UntilAsync(gateway, id, "in_progress");
        await CheckErrorAsync(gateway.Client.PostAsJsonAsync("/v1/responses",
            new { model = "stub", input = "a", previous_response_id = id }), 400, null, "previous_response_id");
        await CheckErrorAsync(GetAsync(gateway, $"{id}?stream=true"), 400, null, "stream");
        await File.WriteAllTextAsync(Gate, "");
        var ended = await UntilAsync(gateway, id, "completed");
        Assert.Equal(("w0 w1 w2 ", true), (TextOf(ended), (bool)ended["background"]!));
        Assert.Equal(8, (int)ended["usage"]!["total_tokens"]!);
        var next = await ResponsesApiTest.CreateAsync(gateway,
            new { model = "stub", input = "again", previous_response_id = id });
        var items = await gateway.GetAsync($"/v1/responses/{next["id"]}/input_items?order=asc");
        Assert.Equal("w0 w1 w2 ", (string?)items["data"]![1]!["content"]![0]!["text"]);
        // A cancellation does not change what has ended.
        Assert.Equal("completed", (string?)(await CancelAsync(gateway, id))["status"]);
    }

    [Fact]
    public async Task A_response_survives_a_restart_of_its_gateway()
    {
        await using var gateway = await StartAsync();
        var ids = new List<string>
        {
            await CreateAsync(gateway, Ask(words: 6, at: 3), isStreamed: false),
            await CreateAsync(gateway, Ask(words: 6, at: 3), isStreamed: true),
        };
        foreach (var id in ids) await UntilAsync(gateway, id, "in_progress");
        // created, queued, in_progress, item, part and three words.
        Assert.Equal("w2 ", (string?)(await PeekAsync(gateway, ids[1], 8))[^1]["delta"]);
        await gateway.RestartAsync();
        await File.WriteAllTextAsync(Gate, "");
        foreach (var id in ids)
            Assert.Equal("w0 w1 w2 w3 w4 w5 ", TextOf(await UntilAsync(gateway, id, "completed")));
        CheckEvents(new JsonArray([.. await ReplayAsync(gateway, ids[1])]));
    }

    [Fact]
    public async Task A_stream_continues_at_another_gateway_when_the_first_one_stops()
    {
        var gateway = await StartAsync();
        await using var other = await gateway.StartAnotherAsync();
        List<JsonNode> seen;
        string id;
        try
        {
            using var answer = await PostAsync(gateway, Ask(words: 8, at: 4), isStreamed: true);
            await using var body = await answer.Content.ReadAsStreamAsync();
            // created, queued, in_progress, item, part and four words.
            seen = [.. (await Events.ReadAsync(body, 9)).Select(Parse)];
            id = (string)seen[0]["response"]!["id"]!;
            Assert.Equal("w3 ", (string?)seen[^1]["delta"]);
        }
        finally
        {
            // The second gateway uses the Redis of the first one, so only the application of the first one stops.
            await gateway.StopAsync();
        }

        try
        {
            var rest = ReplayAsync(other, id, after: (int)seen[^1]["sequence_number"]!);
            await File.WriteAllTextAsync(Gate, "");
            seen.AddRange(await rest);
            CheckEvents(new JsonArray([.. seen.Select(e => e.DeepClone())]));
            Assert.Equal("w0 w1 w2 w3 w4 w5 w6 w7 ", TextOf(seen[^1]["response"]!));
            Assert.Equal(seen.Select(e => e.ToJsonString()),
                (await ReplayAsync(other, id)).Select(e => e.ToJsonString()));
            Assert.Empty(await ReplayAsync(other, id, after: seen.Count - 1));
        }
        finally
        {
            await other.StopAsync();
            await gateway.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_stream_continues_on_another_worker_when_its_worker_dies()
    {
        await using var gateway = await StartAsync(max: 2);
        var events = await StreamAsync(gateway, Ask(words: 10, die: 5));
        CheckEvents(new JsonArray([.. events]));
        Assert.Equal(string.Concat(Enumerable.Range(0, 10).Select(i => $"w{i} ")), TextOf(events[^1]["response"]!));
        Assert.Equal(10, events.Count(e => (string?)e["type"] == "response.output_text.delta"));
    }

    [Fact]
    [Trait("Needs", "publish")]
    public async Task Texts_of_a_model_continue_on_another_worker_when_theirs_is_killed()
    {
        const int texts = 8;
        await using var gateway = await InProcessGateway.StartAsync(
            """
            templates:
              - { name: onnx-cpu, concurrency: 8 }
            endpoints:
              - { id: story, template: onnx-cpu, scaling: { min: 1, max: 2, idleTimeout: 600s } }

            """, InProcessGateway.WithWorker());
        var expected = await Task.WhenAll(Enumerable.Range(0, texts).Select(i => AskAsync(i, isBackground: false)));
        Assert.True(expected.Select(TextOf).Distinct().Count() > texts / 2);
        var worker = Assert.Single(await gateway.WorkersAsync("story", "ready"));
        var begun = await Task.WhenAll(Enumerable.Range(0, texts).Select(i => AskAsync(i, isBackground: true)));
        var ids = begun.Select(r => (string)r["id"]!).ToList();
        // created, queued, in_progress, item, part and a word: the other words follow within seconds.
        await PeekAsync(gateway, ids[0], 6);
        ChildProcess.Signal((int)worker["processId"]!, ChildProcess.Sigkill);

        for (var i = 0; i < texts; i++)
        {
            var events = await ReplayAsync(gateway, ids[i]);
            CheckEvents(new JsonArray([.. events]));
            Assert.Equal(TextOf(expected[i]), TextOf(events[^1]["response"]!));
        }

        await gateway.Log.EventAsync("JobRequeued", ("Endpoint", "story"));

        async Task<JsonNode> AskAsync(int i, bool isBackground)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/responses");
            // Every other text is sampled.
            request.Content = JsonContent.Create(new
            {
                model = "story",
                input = $"Write story {i}.",
                temperature = i % 2,
                seed = i,
                max_output_tokens = 400,
                ignore_eos = true,
                background = isBackground,
                stream = isBackground,
            });
            using var answer = await gateway.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            if (!isBackground) return (await answer.Content.ReadFromJsonAsync<JsonObject>())!;
            await using var body = await answer.Content.ReadAsStreamAsync();
            return Parse((await Events.ReadAsync(body, 1))[0])["response"]!;
        }
    }

    [Fact]
    public async Task A_stream_without_marks_fails_when_its_worker_dies()
    {
        await using var gateway = await StartAsync(max: 2);
        var events = await StreamAsync(gateway, Ask(words: 10, die: 5, isPlain: true));
        Assert.Equal(("response.failed", "w0 w1 w2 w3 w4 "),
            ((string?)events[^1]["type"], TextOf(events[^1]["response"]!)));
        var response = await gateway.GetAsync($"/v1/responses/{events[0]["response"]!["id"]}");
        Assert.Equal(events[^1]["response"]!.ToJsonString(), response.ToJsonString());
    }

    [Fact]
    public async Task A_response_can_be_cancelled_and_deleted_at_any_gateway()
    {
        var gateway = await StartAsync();
        await using var other = await gateway.StartAnotherAsync();
        try
        {
            using var answer = await PostAsync(gateway, Ask(words: 8, at: 2), isStreamed: true);
            await using var body = await answer.Content.ReadAsStreamAsync();
            var seen = (await Events.ReadAsync(body, 7)).Select(Parse).ToList();
            var id = (string)seen[0]["response"]!["id"]!;
            var rest = ReplayAsync(gateway, id, after: 6);
            Assert.Equal("cancelled", (string?)(await CancelAsync(other, id))["status"]);
            var last = (await rest)[^1];
            Assert.Equal(("response.incomplete", "cancelled", "w0 w1 "), ((string?)last["type"],
                (string?)last["response"]!["status"], TextOf(last["response"]!)));
            await Eventually.HoldsAsync(() => Logged("stopped ") == 1);

            var second = await CreateAsync(gateway, Ask(words: 8, at: 2), isStreamed: false);
            await UntilAsync(other, second, "in_progress");
            using var deleted = await other.Client.DeleteAsync(Url(second));
            Assert.True((bool)(await deleted.Content.ReadFromJsonAsync<JsonObject>())!["deleted"]!);
            await CheckErrorAsync(GetAsync(gateway, second), 404, "not_found", "id");
            await Eventually.HoldsAsync(() => Logged("stopped ") == 2);
        }
        finally
        {
            await gateway.StopAsync();
            await other.StopAsync();
            await gateway.DisposeAsync();
        }
    }

    [Fact]
    public async Task Errors_of_the_worker_are_errors_of_the_response()
    {
        await using var gateway = await StartAsync(new() { ["SLUICE_RESPONSE_MAX_KIB"] = "1" });
        foreach (var isStreamed in new[] { false, true })
        {
            var id = await CreateAsync(gateway, """{"status":400}""", isStreamed);
            var failed = await UntilAsync(gateway, id, "failed");
            Assert.Equal(("bad", "no"), ((string?)failed["error"]!["code"], (string?)failed["error"]!["message"]));
        }

        var whole = await ResponsesApiTest.CreateAsync(gateway, new { model = "stub", input = "a" });
        await CheckErrorAsync(gateway.Client.PostAsync(Url($"{whole["id"]}/cancel"), null), 400, null, "id");
        await CheckErrorAsync(GetAsync(gateway, $"{whole["id"]}?stream=x"), 400, null, "stream");
        await CheckErrorAsync(gateway.Client.PostAsJsonAsync("/v1/responses",
            new { model = "stub", input = new string('x', 2000), background = true }), 413, null, "input");
    }

    private string Ask(int words, int? at = null, int? die = null, bool isPlain = false) => new JsonObject
    {
        ["words"] = words,
        ["at"] = at,
        ["die"] = die,
        ["gate"] = Gate,
        ["plain"] = isPlain,
    }.ToJsonString();

    private static async Task<HttpResponseMessage> PostAsync(RunningGateway gateway, string input, bool isStreamed)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/responses")
        {
            Content = JsonContent.Create(new { model = "stub", input, background = true, stream = isStreamed }),
        };
        return await gateway.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    private static async Task<List<JsonNode>> StreamAsync(RunningGateway gateway, string input)
    {
        using var answer = await PostAsync(gateway, input, isStreamed: true);
        return [.. (await Events.ReadAsync(await answer.Content.ReadAsStreamAsync())).Select(Parse)];
    }

    /// <summary>Creates a response and leaves its stream.</summary>
    private static async Task<string> CreateAsync(RunningGateway gateway, string input, bool isStreamed)
    {
        using var answer = await PostAsync(gateway, input, isStreamed);
        if (!isStreamed) return (string)(await answer.Content.ReadFromJsonAsync<JsonObject>())!["id"]!;
        await using var body = await answer.Content.ReadAsStreamAsync();
        return (string)Parse((await Events.ReadAsync(body, 1))[0])["response"]!["id"]!;
    }

    /// <summary>Reads a stream to its end.</summary>
    private static async Task<List<JsonNode>> ReplayAsync(RunningGateway gateway, string id, int after = -1)
    {
        var cursor = after < 0 ? "" : $"&starting_after={after}";
        await using var body = await gateway.Client.GetStreamAsync(Url($"{id}?stream=true{cursor}"));
        return [.. (await Events.ReadAsync(body)).Select(Parse)];
    }

    /// <summary>Reads the first events of a stream.</summary>
    private static async Task<List<JsonNode>> PeekAsync(RunningGateway gateway, string id, int count)
    {
        await using var body = await gateway.Client.GetStreamAsync(Url($"{id}?stream=true"));
        return [.. (await Events.ReadAsync(body, count).WaitAsync(ChildProcess.Patience)).Select(Parse)];
    }

    private static Task<HttpResponseMessage> GetAsync(RunningGateway gateway, string path) =>
        gateway.Client.GetAsync(Url(path));

    private static async Task<JsonObject> CancelAsync(RunningGateway gateway, string id)
    {
        using var answer = await gateway.Client.PostAsync(Url($"{id}/cancel"), null);
        return (await answer.Content.ReadFromJsonAsync<JsonObject>())!;
    }

    private static Task<JsonObject> UntilAsync(RunningGateway gateway, string id, string status) =>
        gateway.UntilAsync($"/v1/responses/{id}", r => (string?)r["status"] == status);

    private static Uri Url(string path) => new($"/v1/responses/{path}", UriKind.Relative);

    private int Logged(string what) => StubLog.Lines(log).Count(l => l.StartsWith(what, StringComparison.Ordinal));

    private Task<InProcessGateway> StartAsync(Dictionary<string, string?>? settings = null, int max = 1)
    {
        // A gateway that stops does not wait for the gates of the tests.
        settings ??= [];
        settings["SLUICE_DRAIN_SECONDS"] = "1";
        return InProcessGateway.StartAsync(Jobs.Manifest(log, max: max), settings);
    }
}
