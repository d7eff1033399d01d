using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>
/// Tests <c>/v1/responses</c> with OpenAI's own client and a real model, and with workers that are not the built-in
/// one.
/// </summary>
public sealed class ResponsesApiTest
{
    [Fact]
    [Trait("Needs", "publish")]
    public async Task The_official_client_works_with_responses()
    {
        Require.Program("node", "nodejs and npm, which fetch openai");
        var client = Path.Combine(Repository.Root, "tests", "Unit", "Worker.Tests", "openai");
        await using var gateway = await InProcessGateway.StartAsync(
            Manifests.With(Manifests.Endpoint("story")), InProcessGateway.WithWorker());
        await using var node = new ChildProcess("/usr/bin/env",
            ["node", Path.Combine(client, "responses.mjs"), new Uri(gateway.Url, "/v1").ToString(), gateway.Key,
                "story"],
            new Dictionary<string, string?>());
        var seen = JsonNode.Parse(await node.LineAsync("{\"whole\""))!;

        var text = (string)seen["whole"]!["output_text"]!;
        Assert.NotEmpty(text);
        Assert.Equal((text, text), ((string?)seen["deltas"], TextOf(seen["streamed"]!)));
        CheckEvents(seen["events"]!.AsArray());
        var usage = seen["whole"]!["usage"]!;
        Assert.Equal((int)usage["input_tokens"]! + (int)usage["output_tokens"]!, (int)usage["total_tokens"]!);
        Assert.InRange((int)usage["output_tokens"]!, 1, 20);
        Assert.InRange((int)seen["parsed"]!["n"]!, 0, 9);
        var call = Assert.Single(seen["call"]!["output"]!.AsArray(), i => (string?)i!["type"] == "function_call")!;
        Assert.Equal("add", (string?)call["name"]);
        Assert.InRange((int)JsonNode.Parse((string)call["arguments"]!)!["a"]!, 0, 9);
        CheckConversation(seen);
        CheckErrors(seen["errors"]!);
    }

    [Fact]
    public async Task Any_worker_with_chat_completions_serves_responses()
    {
        await using var gateway = await StartAsync();
        var first = await CreateAsync(gateway, new { model = "stub", input = "hello", metadata = new { a = "b" } });
        Assert.Equal(("completed", "You said: hello", "b"),
            ((string?)first["status"], TextOf(first), (string?)first["metadata"]!["a"]));
        var second = await CreateAsync(gateway,
            new { model = "stub", input = "again", previous_response_id = (string?)first["id"], instructions = "x" });
        Assert.Equal(second.ToJsonString(), (await gateway.GetAsync($"/v1/responses/{second["id"]}")).ToJsonString());
        var items = await gateway.GetAsync($"/v1/responses/{second["id"]}/input_items?order=asc");
        Assert.Equal(["hello", "You said: hello", "again"],
            items["data"]!.AsArray().Select(i => (string?)i!["content"]![0]!["text"]));

        var called = await CreateAsync(gateway, new { model = "stub", input = """{"words":1,"call":"f"}""" });
        Assert.Equal(["message", "function_call"], called["output"]!.AsArray().Select(i => (string?)i!["type"]));

        var events = await StreamAsync(gateway.Client,
            new { model = "stub", stream = true, input = """{"words":3,"plain":true}""" });
        CheckEvents(new JsonArray([.. events]));
        Assert.Equal("w0 w1 w2 ", TextOf(events[^1]["response"]!));
        var stored = await gateway.GetAsync($"/v1/responses/{events[0]["response"]!["id"]}");
        Assert.Equal(events[^1]["response"]!.ToJsonString(), stored.ToJsonString());
    }

    [Fact]
    public async Task A_response_belongs_to_its_key()
    {
        await using var gateway = await StartAsync();
        var id = (string)(await CreateAsync(gateway, new { model = "stub", input = "hello" }))["id"]!;
        using var created = await gateway.Client.PostAsJsonAsync("/api/v1/keys",
            new { name = "test", invoke = new[] { "stub" } });
        using var other = gateway.ClientFor((string)(await created.Content.ReadFromJsonAsync<JsonObject>())!["key"]!);
        foreach (var path in new[] { $"/v1/responses/{id}", $"/v1/responses/{id}/input_items", "/v1/responses/x:y" })
            await CheckErrorAsync(other.GetAsync(new Uri(path, UriKind.Relative)), 404, "not_found", "id");
        await CheckErrorAsync(other.DeleteAsync(new Uri($"/v1/responses/{id}", UriKind.Relative)), 404, "not_found",
            "id");
        await CheckErrorAsync(
            other.PostAsJsonAsync("/v1/responses", new { model = "stub", input = "a", previous_response_id = id }),
            404, "not_found", "previous_response_id");
        using var anonymous = gateway.ClientFor(null);
        await CheckErrorAsync(anonymous.GetAsync(new Uri($"/v1/responses/{id}", UriKind.Relative)), 401,
            "invalid_api_key", null);
        Assert.Equal("completed", (string?)(await gateway.GetAsync($"/v1/responses/{id}"))["status"]);
    }

    [Fact]
    public async Task A_public_endpoint_stores_nothing_without_a_key()
    {
        await using var gateway = await StartAsync(more: "public: true");
        using var anonymous = gateway.ClientFor(null);
        using var answer = await anonymous.PostAsJsonAsync("/v1/responses", new { model = "stub", input = "hello" });
        var response = (await answer.Content.ReadFromJsonAsync<JsonObject>())!;
        Assert.Equal(("completed", false), ((string?)response["status"], (bool)response["store"]!));
        await CheckErrorAsync(anonymous.PostAsJsonAsync("/v1/responses",
            new { model = "stub", input = "a", previous_response_id = response["id"] }), 400, null,
            "previous_response_id");
    }

    [Fact]
    public async Task A_response_that_is_too_large_says_that_it_is_not_stored()
    {
        await using var gateway = await StartAsync(new() { ["SLUICE_RESPONSE_MAX_KIB"] = "1" });
        var large = await CreateAsync(gateway, new { model = "stub", input = new string('x', 2000) });
        Assert.Equal(("completed", false), ((string?)large["status"], (bool)large["store"]!));
        var events = await StreamAsync(gateway.Client,
            new { model = "stub", stream = true, input = """{"words":1000}""" });
        Assert.False((bool)events[^1]["response"]!["store"]!);
        await gateway.Log.EventAsync("ResponseNotStored", ("Response", (string)large["id"]!));
    }

    [Fact]
    public async Task Errors_have_the_form_of_the_api()
    {
        await using var gateway = await StartAsync();
        await CheckErrorAsync(PostAsync("""{"model":"stub","input":"{\"status\":400}"}"""), 400, "bad",
            "input[0].content");
        await CheckErrorAsync(PostAsync("""{"model":"stub","input":"a","input":"b"}"""), 400, null, null);
        await CheckErrorAsync(PostAsync("""{"model":"stub","input":"\ud800"}"""), 400, null, null);
        await CheckErrorAsync(PostAsync("""{"model":"stub","input":[1]}"""), 400, null, "input[0]");
        var large = new string('x', 16 << 20);
        await CheckErrorAsync(PostAsync($$"""{"model":"stub","input":"{{large}}"}"""), 413, null, null);


        Task<HttpResponseMessage> PostAsync(string body) =>
            gateway.Client.PostAsync(new Uri("/v1/responses", UriKind.Relative), new StringContent(body));
    }

    [Theory]
    [InlineData("1m", "response.completed")]
    // The first request waits for the start of its worker, too, which takes seconds on a busy machine.
    [InlineData("15s", "response.failed")]
    public async Task A_stream_that_waits_for_a_worker_is_in_progress(string timeout, string last)
    {
        await using var gateway = await StartAsync(
            concurrency: 1, more: $"queue: {{ keepAlive: 1s, timeout: {timeout} }}");
        var gate = Path.Combine(gateway.Folder, "gate");
        var input = new JsonObject { ["words"] = 1, ["at"] = 0, ["gate"] = gate }.ToJsonString();
        var holding = CreateAsync(gateway, new { model = "stub", input });
        await Eventually.HoldsAsync(
            async () => await gateway.MetricAsync("sluice_requests_in_flight", "endpoint=\"stub\"") == 1);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/responses")
        {
            Content = JsonContent.Create(new { model = "stub", input = "hello", stream = true }),
        };
        using var answer = await gateway.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync());
        var types = new List<string>();
        while (await reader.ReadLineAsync() is { } line)
        {
            if (!line.StartsWith("event: ", StringComparison.Ordinal)) continue;
            types.Add(line["event: ".Length..]);
            // The client knows that its request is alive, before there is a worker.
            if (types.Count == 3 && timeout == "1m") await File.WriteAllTextAsync(gate, "");
        }

        Assert.Equal(["response.created", "response.in_progress", "response.in_progress"], types[..3]);
        Assert.Equal(last, types[^1]);
        await File.WriteAllTextAsync(gate, "");
        await holding;
    }

    [Fact]
    public async Task A_stream_continues_on_another_worker_when_its_worker_dies()
    {
        await using var gateway = await StartAsync(max: 2);
        var gate = Path.Combine(gateway.Folder, "gate");
        var events = await StreamAsync(gateway.Client, new
        {
            model = "stub",
            stream = true,
            input = new JsonObject { ["words"] = 10, ["die"] = 5, ["gate"] = gate }.ToJsonString(),
        });
        CheckEvents(new JsonArray([.. events]));
        Assert.Equal(string.Concat(Enumerable.Range(0, 10).Select(i => $"w{i} ")), TextOf(events[^1]["response"]!));
        Assert.Equal(1, await gateway.MetricAsync("sluice_streams_continued_total", "endpoint=\"stub\""));
    }

    [Fact]
    public async Task A_whole_response_that_lost_its_worker_is_generated_again()
    {
        await using var gateway = await StartAsync(max: 2);
        var gate = Path.Combine(gateway.Folder, "gate");
        var response = await CreateAsync(gateway, new
        {
            model = "stub",
            input = new JsonObject { ["words"] = 3, ["die"] = 1, ["gate"] = gate }.ToJsonString(),
        });
        Assert.Equal("w0 w1 w2 ", TextOf(response));
    }

    [Fact]
    public async Task A_batch_runs_responses()
    {
        await using var gateway = await StartAsync();
        var lines = string.Join('\n',
            """{"custom_id":"a","method":"POST","url":"/v1/responses","body":{"model":"stub","input":"hello"}}""",
            """{"custom_id":"b","method":"POST","url":"/v1/responses","body":"""
            + """{"model":"stub","input":"{\"status\":400}"}}""");
        using var uploaded = await gateway.Client.PostAsync(new Uri("/v1/files", UriKind.Relative),
            new MultipartFormDataContent
            {
                { new StringContent("batch"), "purpose" }, { new StringContent(lines), "file", "rows.jsonl" },
            });
        var file = (string)(await uploaded.Content.ReadFromJsonAsync<JsonObject>())!["id"]!;
        using var created = await gateway.Client.PostAsJsonAsync("/v1/batches",
            new { input_file_id = file, endpoint = "/v1/responses", completion_window = "24h" });
        var id = (string)(await created.Content.ReadFromJsonAsync<JsonObject>())!["id"]!;
        var batch = await gateway.UntilAsync($"/v1/batches/{id}", b => (string?)b["status"] == "completed");
        var good = await LineAsync("output_file_id");
        Assert.Equal(("a", "You said: hello"), ((string?)good["custom_id"], TextOf(good["response"]!["body"]!)));
        var bad = await LineAsync("error_file_id");
        Assert.Equal("input[0].content", (string?)bad["response"]!["body"]!["error"]!["param"]);

        async Task<JsonNode> LineAsync(string name) => JsonNode.Parse(await gateway.Client.GetStringAsync(
            new Uri($"/v1/files/{batch[name]}/content", UriKind.Relative)))!;
    }

    internal static string TextOf(JsonNode response) => string.Concat(response["output"]!.AsArray()
        .Where(i => (string?)i!["type"] == "message").Select(i => (string?)i!["content"]![0]!["text"]));

    internal static async Task<JsonObject> CreateAsync(RunningGateway gateway, object body)
    {
        using var answer = await gateway.Client.PostAsJsonAsync("/v1/responses", body);
        if (answer.StatusCode != HttpStatusCode.OK) Assert.Fail(await answer.Content.ReadAsStringAsync());
        return (await answer.Content.ReadFromJsonAsync<JsonObject>())!;
    }

    /// <summary>Creates a response as a stream, and returns its events.</summary>
    internal static async Task<List<JsonNode>> StreamAsync(HttpClient client, object body)
    {
        using var answer = await client.PostAsJsonAsync("/v1/responses", body);
        Assert.Equal("text/event-stream", answer.Content.Headers.ContentType?.MediaType);
        return [.. (await Events.ReadAsync(await answer.Content.ReadAsStreamAsync())).Select(Parse)];
    }

    /// <summary>Parses an event, whose name is its type.</summary>
    internal static JsonNode Parse(string one)
    {
        var parts = one.Split('|', 3);
        var json = JsonNode.Parse(parts[2])!;
        Assert.Equal(("", parts[1]), (parts[0], (string?)json["type"]));
        return json;
    }

    internal static void CheckEvents(JsonArray events)
    {
        Assert.Equal(Enumerable.Range(0, events.Count), events.Select(e => (int)e!["sequence_number"]!));
        var types = events.Select(e => (string?)e!["type"]).ToList();
        Assert.Equal("response.created", types[0]);
        Assert.Contains("response.in_progress", types);
        Assert.Contains(types[^1], new[] { "response.completed", "response.incomplete" });
        var deltas = events.Where(e => (string?)e!["type"] == "response.output_text.delta");
        Assert.Equal(TextOf(events[^1]!["response"]!), string.Concat(deltas.Select(e => (string?)e!["delta"])));
    }

    internal static async Task CheckErrorAsync(Task<HttpResponseMessage> sent, int status, string? code, string? param)
    {
        using var answer = await sent;
        var error = (await answer.Content.ReadFromJsonAsync<JsonObject>())!["error"]!;
        Assert.Equal((status, code, param), ((int)answer.StatusCode, (string?)error["code"], (string?)error["param"]));
    }

    internal static Task<InProcessGateway> StartAsync(
        Dictionary<string, string?>? settings = null, int max = 1, int concurrency = 8, string more = "") =>
        InProcessGateway.StartAsync(
            Jobs.Manifest("/dev/null", max: max, concurrency: concurrency, more: more), settings);

    private static void CheckConversation(JsonNode seen)
    {
        Assert.Equal(seen["next"]!["output"]!.ToJsonString(), seen["got"]!["output"]!.ToJsonString());
        Assert.Equal((string?)seen["call"]!["id"], (string?)seen["got"]!["previous_response_id"]);
        var types = seen["items"]!.AsArray().Select(i => (string?)i!["type"]).ToList();
        Assert.Equal(("message", "function_call_output"), (types[0], types[^1]));
        Assert.Contains("function_call", types);
    }

    private static void CheckErrors(JsonNode errors)
    {
        Check("deleted", "NotFoundError", 404, "not_found", "id");
        Check("unstored", "NotFoundError", 404, "not_found", "id");
        Check("previous", "NotFoundError", 404, "not_found", "previous_response_id");
        Check("image", "BadRequestError", 400, null, "input[0].content[0]");
        Check("tool", "BadRequestError", 400, null, "tools[0].type");
        Check("worker", "BadRequestError", 400, null, "max_output_tokens");
        Check("model", "NotFoundError", 404, "model_not_found", "model");

        void Check(string name, string kind, int status, string? code, string? param)
        {
            var error = errors[name]!;
            Assert.Equal((kind, status, code, param),
                ((string?)error["kind"], (int)error["status"]!, (string?)error["code"], (string?)error["param"]));
        }
    }
}
