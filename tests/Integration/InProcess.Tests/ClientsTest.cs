using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>
/// Uses the OpenAI API with clients as their publishers release them: chats, streams, tools, JSON schemas, embeddings
/// and errors. The models are those of the built-in worker, and those of a program with the API of vLLM.
/// </summary>
[Trait("Needs", "publish")]
public sealed class ClientsTest(ClientsTest.Served served) : IClassFixture<ClientsTest.Served>
{
    private static readonly string Scripts =
        Path.Combine(Repository.Root, "tests", "Integration", "InProcess.Tests", "clients");

    public sealed class Served : IAsyncLifetime
    {
        public InProcessGateway Gateway { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            var settings = InProcessGateway.WithWorker();
            settings["SLUICE_LOG_LEVEL"] = "Debug";
            Gateway = await InProcessGateway.StartAsync($$"""
                templates:
                  - name: onnx-cpu
                    concurrency: 8
                  - name: vllm
                    command: [/usr/bin/python3, "{{Repository.VllmStub}}", --port, "{port}"]
                    args: [--served-model-name, vllm]
                    protocol: http1
                    readyPath: /health
                  - name: vllm-embed
                    command: [/usr/bin/python3, "{{Repository.VllmStub}}", --port, "{port}"]
                    args: [--served-model-name, vllm-embed, --task, embed]
                    protocol: http1
                    readyPath: /health
                endpoints:
                  - { id: story, template: onnx-cpu, scaling: { min: 1, max: 1 } }
                  - { id: embed, template: onnx-cpu, scaling: { min: 1, max: 1 } }
                  - { id: vllm, template: vllm, scaling: { max: 1, idleTimeout: 600s } }
                  - { id: vllm-embed, template: vllm-embed, scaling: { max: 1, idleTimeout: 600s } }

                """, settings);
        }

        public ValueTask DisposeAsync() => Gateway.DisposeAsync();
    }

    [Fact]
    public Task The_client_of_OpenAI_for_NET_works() =>
        CheckAsync(settings => Task.WhenAll(settings.Select(s => new DotNetClient(s).UseAsync())));

    [Fact]
    public Task The_client_of_OpenAI_for_JavaScript_works() => CheckAsync(s => RunAsync("openai.mjs", s));

    [Fact]
    public Task The_AI_SDK_works() => CheckAsync(s => RunAsync("aisdk.mjs", s));

    [Fact]
    public Task The_client_of_Hugging_Face_works() => CheckAsync(s => RunAsync("huggingface.mjs", s));

    [Fact]
    public Task LangChain_works() => CheckAsync(s => RunAsync("langchain.mjs", s));

    [Fact]
    public async Task The_usage_of_another_program_is_recorded_as_it_counts_it()
    {
        var (id, key) = await KeyAsync();
        using var client = served.Gateway.ClientFor(key);
        var chat = new JsonObject
        {
            ["model"] = "vllm",
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = "a b c d" }),
        };
        var stream = chat.DeepClone().AsObject();
        stream["stream"] = true;
        stream["stream_options"] = new JsonObject { ["include_usage"] = true };
        foreach (var (path, body) in new (string, JsonObject)[]
            {
                ("chat/completions", chat), ("chat/completions", stream),
                ("completions", new() { ["model"] = "vllm", ["prompt"] = "a b c" }),
                ("embeddings", new() { ["model"] = "vllm-embed", ["input"] = "a b" }),
            })
        {
            using var answer = await client.PostAsJsonAsync("/v1/" + path, body);
            Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        }

        // A message has three tokens more, and the answer begins with "You said:".
        await Eventually.BecomesAsync(
            () => Task.FromResult(string.Join(' ', served.Gateway.Log.Entries
                .Where(e => e.Is("TokensUsed", ("Key", id))).Select(e => $"{e["Prompt"]}+{e["Generated"]}"))),
            used => used == "7+6 7+6 3+3 2+0", "the counts of the program are recorded");
    }

    private async Task CheckAsync(Func<ClientSettings[], Task<JsonNode[]>> use)
    {
        var ((_, key), (_, limited)) = (await KeyAsync(), await KeyAsync(perMinute: 1));
        var url = new Uri(served.Gateway.Url, "/v1");
        var seen = await use([
            new ClientSettings(url, key, limited, "story", "embed", Fails: false),
            new ClientSettings(url, key, limited, "vllm", "vllm-embed", Fails: true)]);
        Assert.Equal(2, seen.Length);
        foreach (var (one, isStub) in seen.Zip([false, true]))
        {
            CheckAnswers(one, isStub);
            CheckCalls(one);
            CheckErrors(one["errors"]!, isStub);
        }
    }

    private static async Task<JsonNode[]> RunAsync(string script, ClientSettings[] settings)
    {
        Require.Program("node", "nodejs and npm, which fetch the clients");
        Assert.True(Directory.Exists(Path.Combine(Scripts, "node_modules")), "npm ci has not run: make test runs it");
        await using var node = new ChildProcess("/usr/bin/env",
            ["node", Path.Combine(Scripts, script), JsonSerializer.Serialize(settings, JsonSerializerOptions.Web)],
            new Dictionary<string, string?>());
        var first = await node.LineAsync("{\"seen\"");
        var second = await node.LineAsync(l => l.StartsWith("{\"seen\"", StringComparison.Ordinal) && l != first,
            "the second model's line");
        return [JsonNode.Parse(first)!["seen"]!, JsonNode.Parse(second)!["seen"]!];
    }

    private static void CheckAnswers(JsonNode seen, bool isStub)
    {
        var (whole, stream) = (seen["chat"]!, seen["stream"]!);
        Assert.NotEmpty((string)whole["text"]!);
        foreach (var name in new[] { "text", "reason", "prompt", "generated" })
            Assert.Equal(whole[name]!.ToJsonString(), stream[name]!.ToJsonString());
        Assert.InRange((int)stream["pieces"]!, 2, 24);
        Assert.InRange((int)whole["generated"]!, 2, 24);
        Assert.True((int)whole["prompt"]! > 5);
        if (isStub) Assert.Equal("You said: What is two plus three?", (string?)whole["text"]);
        Assert.Equal("stop", (string?)whole["reason"]);
        var value = seen["object"]!.AsObject();
        Assert.Equal(["n", "color"], value.Select(p => p.Key));
        Assert.InRange((int)value["n"]!, 0, 9);
        Assert.Contains((string?)value["color"], new[] { "red", "blue" });
        var vectors = seen["embeddings"]!.AsArray();
        Assert.Equal(2, vectors.Count);
        Assert.All(vectors, v => Assert.Equal(isStub ? 3 : 384, v!.AsArray().Count));
        if (isStub) Assert.Equal([19, 0.5, -1], vectors[0]!.AsArray().Select(v => (double)v!));
    }

    private static void CheckCalls(JsonNode seen)
    {
        foreach (var name in new[] { "call", "callStream" })
        {
            var call = seen[name]!;
            Assert.Equal("add", (string?)call["name"]);
            Assert.Equal("toolcalls", ((string)call["reason"]!).Replace("_", "", StringComparison.Ordinal)
                .Replace("-", "", StringComparison.Ordinal));
            Assert.NotEmpty((string)call["id"]!);
            Assert.Equal(["a", "b"], call["arguments"]!.AsObject().Select(p => p.Key));
            Assert.InRange((int)call["arguments"]!["a"]!, 0, 9);
        }

        Assert.Equal(seen["call"]!["arguments"]!.ToJsonString(), seen["callStream"]!["arguments"]!.ToJsonString());
        Assert.NotEmpty((string)seen["afterCall"]!);
    }

    private static void CheckErrors(JsonNode errors, bool isStub)
    {
        Check("key", 401, "key");
        Check("model", 404, "'none'");
        Check("field", 400, "top_p");
        Check("limit", 429, "requests");
        if (isStub)
            Assert.Contains("EngineCore", (string?)errors["inStream"], StringComparison.Ordinal);

        void Check(string name, int status, string says)
        {
            Assert.True(errors[name] is not null, $"{name} raised no error");
            Assert.Equal(status, (int)errors[name]!["status"]!);
            Assert.Contains(says, (string?)errors[name]!["message"], StringComparison.Ordinal);
        }
    }

    /// <summary>Creates a key that may use all models, and returns its id and the key itself.</summary>
    private async Task<(string Id, string Key)> KeyAsync(int? perMinute = null)
    {
        using var created = await served.Gateway.Client.PostAsJsonAsync("/api/v1/keys",
            new { name = "test", invoke = new[] { "*" }, requestsPerMinute = perMinute });
        var key = (await created.Content.ReadFromJsonAsync<JsonObject>())!;
        return ((string)key["record"]!["id"]!, (string)key["key"]!);
    }
}
