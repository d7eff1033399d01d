using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.Worker.Tests.Generation;

/// <summary>
/// Tests the OpenAI API of the worker with OpenAI's own client, and a model with the tokenizer and the chat template of
/// Llama 3.1 and made-up weights.
/// </summary>
[Trait("Needs", "publish")]
public sealed class OpenAiApiTest : IDisposable
{
    private const int Vocabulary = 128_256;

    private static readonly string Tests = Path.Combine(Repository.Root, "tests", "Unit", "Worker.Tests");

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-openai-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task The_official_client_works_with_the_worker()
    {
        Require.Program("node", "nodejs and npm, which fetch openai");
        var client = Path.Combine(Tests, "openai");
        Assert.True(Directory.Exists(Path.Combine(client, "node_modules", "openai")),
            "npm ci has not run: make test runs it");
        var minilm = Path.Combine(Repository.Models, "embed", "1");
        Assert.True(File.Exists(Path.Combine(minilm, "model.onnx")), "eng/fetch-models has not run: make test runs it");
        Directory.CreateSymbolicLink(Path.Combine(folder, "minilm"), minilm);
        PutModel();
        var port = FreePort.Find();
        await using var worker = await WorkerProcess.StartAsync(
            folder, new Dictionary<string, string?> { ["SLUICE_HTTP1_PORT"] = $"{port}" });
        await using var node = new ChildProcess("/usr/bin/env",
            ["node", Path.Combine(client, "client.mjs"), $"http://127.0.0.1:{port}/v1", WorkerProcess.Token, "llama"],
            new Dictionary<string, string?>());
        var seen = JsonNode.Parse(await node.LineAsync("{\"models\""))!;
        CheckModels(seen);
        CheckChat(seen);
        CheckSeveral(seen);
        CheckCompletions(seen);
        CheckSchema(seen["schema"]!.AsArray());
        CheckTools(seen);
        CheckEmbeddings(seen);
        CheckErrors(seen["errors"]!);
        await CheckInvalidTextAsync(worker);
        await Eventually.HoldsAsync(
            async () => (await worker.Client.GetStringAsync("metrics")).Contains(
                "sluice_generation_abandoned_total{model=\"llama\",version=\"1\"} 1", StringComparison.Ordinal),
            "the text whose client is gone has ended");
    }

    /// <summary>Text and tokens that are not valid are an error in the form of OpenAI, wherever they are.</summary>
    private static async Task CheckInvalidTextAsync(WorkerProcess worker)
    {
        foreach (var (path, body) in new[]
            {
                ("completions", """{"model":"llama","prompt":"\ud800"}"""),
                ("completions", """{"model":"\ud800","prompt":"a"}"""),
                ("completions", """{"model":"llama","prompt":"a","stop":"\ud800"}"""),
                ("chat/completions", """{"model":"llama","messages":[{"role":"user","content":"\ud800"}]}"""),
                ("embeddings", """{"model":"minilm","input":"\ud800"}"""),
                ("embeddings", """{"model":"minilm","input":[1,-1]}"""),
                ("embeddings", """{"model":"minilm","input":[[1],"a"]}"""),
            })
        {
            using var content = new StringContent(body);
            using var answer = await worker.Client.PostAsync(new Uri("v1/" + path, UriKind.Relative), content);
            var error = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["error"]!;
            Assert.Equal((400, "invalid_request_error"), ((int)answer.StatusCode, (string?)error["type"]));
        }
    }

    private static void CheckModels(JsonNode seen)
    {
        Assert.Equal(["llama", "minilm"], seen["models"]!["data"]!.AsArray().Select(m => (string?)m!["id"]));
        Assert.Equal((4096, "model"), ((int)seen["model"]!["max_model_len"]!, (string?)seen["model"]!["object"]));
    }

    private static void CheckChat(JsonNode seen)
    {
        var chat = seen["chat"]!;
        var choice = chat["choices"]![0]!;
        var text = (string)choice["message"]!["content"]!;
        Assert.Equal("chat.completion", (string?)chat["object"]);
        Assert.Equal(("assistant", "length"), ((string?)choice["message"]!["role"], (string?)choice["finish_reason"]));
        Assert.Equal(12, (int)chat["usage"]!["completion_tokens"]!);
        var prompt = (int)chat["usage"]!["prompt_tokens"]!;
        // The second request finds all tokens but the last one in the cache.
        Assert.Equal(0, (int)chat["usage"]!["prompt_tokens_details"]!["cached_tokens"]!);
        Assert.Equal(prompt - 1, (int)seen["again"]!["usage"]!["prompt_tokens_details"]!["cached_tokens"]!);
        Assert.Equal(text, (string?)seen["again"]!["choices"]![0]!["message"]!["content"]);
        Assert.Equal(text, (string?)seen["helper"]);
        Assert.Equal(text, (string?)seen["nulls"]);
        var chunks = seen["stream"]!.AsArray();
        Assert.Equal("assistant", (string?)chunks[0]!["choices"]![0]!["delta"]!["role"]);
        Assert.Single(chunks, c => c!["choices"]!.AsArray().Any(x => x!["delta"]!["role"] is not null));
        Assert.Equal(text, TextOf(chunks, 0));
        Assert.Equal("length", (string?)chunks[^2]!["choices"]![0]!["finish_reason"]);
        Assert.Empty(chunks[^1]!["choices"]!.AsArray());
        Assert.Equal(prompt + 12, (int)chunks[^1]!["usage"]!["total_tokens"]!);
        Assert.All(chunks.Take(chunks.Count - 1),
            c => Assert.True(c!.AsObject().ContainsKey("usage") && c["usage"] is null));
        Assert.Single(chunks.Select(c => (string?)c!["id"]).Distinct());
    }

    private static void CheckSeveral(JsonNode seen)
    {
        var choices = seen["several"]!["choices"]!.AsArray();
        var texts = choices.Select(c => (string)c!["message"]!["content"]!).ToList();
        Assert.Equal(3, texts.Distinct().Count());
        Assert.Equal(texts, Enumerable.Range(0, 3).Select(i => TextOf(seen["severalStream"]!.AsArray(), i)));
        Assert.Equal(36, (int)seen["several"]!["usage"]!["completion_tokens"]!);
        foreach (var token in choices.SelectMany(c => c!["logprobs"]!["content"]!.AsArray()))
        {
            var top = token!["top_logprobs"]!.AsArray();
            Assert.Equal(2, top.Count);
            Assert.True((double)top[0]!["logprob"]! >= (double)top[1]!["logprob"]!);
            Assert.True((double)token["logprob"]! <= (double)top[0]!["logprob"]!);
            Assert.True((double)token["logprob"]! <= 0 && token["bytes"]!.AsArray().Count > 0);
        }
    }

    private static void CheckCompletions(JsonNode seen)
    {
        var choices = seen["completion"]!["choices"]!.AsArray();
        Assert.Equal(2, choices.Count);
        var first = (string)choices[0]!["text"]!;
        Assert.StartsWith("Once", first, StringComparison.Ordinal);
        Assert.StartsWith("Upon a", (string?)choices[1]!["text"], StringComparison.Ordinal);
        var logprobs = choices[0]!["logprobs"]!;
        Assert.Equal(4, logprobs["tokens"]!.AsArray().Count);
        Assert.Equal(4, logprobs["token_logprobs"]!.AsArray().Count);
        Assert.Equal("Once".Length, (int)logprobs["text_offset"]![0]!);
        Assert.Equal(first["Once".Length..],
            string.Concat(seen["completionStream"]!.AsArray().Select(c => (string?)c!["choices"]![0]!["text"])));
    }

    private static void CheckTools(JsonNode seen)
    {
        var message = seen["call"]!["choices"]![0]!["message"]!;
        var call = message["tool_calls"]!.AsArray().Single()!;
        Assert.Null(message["content"]);
        Assert.Equal("tool_calls", (string?)seen["call"]!["choices"]![0]!["finish_reason"]);
        Assert.Contains((string?)call["function"]!["name"], new[] { "add", "subtract" });
        Assert.Equal(["a", "b"],
            JsonNode.Parse((string)call["function"]!["arguments"]!)!.AsObject().Select(p => p.Key));
        var deltas = seen["callStream"]!.AsArray().Select(c => c!["choices"]![0]!["delta"]!["tool_calls"])
            .Where(c => c is not null).Select(c => c!.AsArray().Single()!).ToList();
        Assert.Equal(("function", (string?)call["function"]!["name"], ""), ((string?)deltas[0]["type"],
            (string?)deltas[0]["function"]!["name"], (string?)deltas[0]["function"]!["arguments"]));
        Assert.All(deltas.Skip(1), d => Assert.True(d["id"] is null && d["function"]!["name"] is null));
        Assert.Equal((string?)call["function"]!["arguments"],
            string.Concat(deltas.Select(d => (string?)d["function"]!["arguments"])));
        Assert.Equal("tool_calls", (string?)seen["callStream"]!.AsArray()[^1]!["choices"]![0]!["finish_reason"]);
        var named = seen["named"]!["choices"]![0]!;
        Assert.Equal(("subtract", "stop"), ((string?)named["message"]!["tool_calls"]![0]!["function"]!["name"],
            (string?)named["finish_reason"]));
        Assert.Equal("assistant", (string?)seen["toolResult"]!["choices"]![0]!["message"]!["role"]);
    }

    private static void CheckEmbeddings(JsonNode seen)
    {
        var vectors = seen["embeddings"]!["data"]!.AsArray()
            .Select(d => d!["embedding"]!.AsArray().Select(v => (double)v!).ToArray()).ToList();
        Assert.All(vectors, v => Assert.Equal(384, v.Length));
        Assert.True(Product(vectors[0], vectors[1]) > Product(vectors[0], vectors[2]) + 0.3);
        Assert.True((int)seen["embeddings"]!["usage"]!["prompt_tokens"]! > 12);
        foreach (var form in new[] { "floats", "tokens" })
        {
            var same = seen[form]!["data"]![0]!["embedding"]!.AsArray().Select(v => (double)v!).ToArray();
            Assert.True(Product(vectors[0], same) > 0.9999);
        }


        static double Product(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();
    }

    private static void CheckSchema(JsonArray answers)
    {
        Assert.Equal(3, answers.Count);
        foreach (var answer in answers)
        {
            var value = answer!["value"]!.AsObject();
            Assert.Equal(["name", "sums"], value.Select(p => p.Key));
            Assert.True(value["name"]!.GetValue<string>().Length <= 8 && value["sums"]!.AsArray().Count <= 3);
            Assert.Equal("stop", (string?)answer["reason"]);
        }
    }

    private static void CheckErrors(JsonNode errors)
    {
        foreach (var (name, status, param, code) in new[]
            {
                ("model", 404, "model", "model_not_found"), ("temperature", 400, "temperature", null),
                ("messages", 400, "messages", null), ("schema", 400, "response_format", null),
                ("tools", 400, "tools", null), ("input", 400, "input", null), ("stop", 400, "stop", null),
                ("cache_salt", 400, "cache_salt", null), ("prompt", 400, "prompt", null),
                ("parallel_tool_calls", 400, "parallel_tool_calls", null),
                ("long", 400, null, "context_length_exceeded"),
            })
        {
            var error = errors[name]!;
            Assert.Equal((status, param, code, "invalid_request_error"),
                ((int)error["status"]!, (string?)error["param"], (string?)error["code"], (string?)error["type"]));
        }

        Assert.Contains("'temperature' is '\"hot\"'; expected a number", (string?)errors["temperature"]!["message"],
            StringComparison.Ordinal);
    }

    private static string TextOf(JsonArray chunks, int index) => string.Concat(chunks
        .SelectMany(c => c!["choices"]!.AsArray()).Where(c => (int)c!["index"]! == index)
        .Select(c => (string?)c!["delta"]!["content"]));

    private void PutModel()
    {
        var files = Path.Combine(Tests, "chat", "node_modules", "@lenml", "tokenizer-llama3_1", "models");
        Assert.True(Directory.Exists(files), "npm ci has not run: make test runs it");
        var model = Path.Combine(folder, "llama");
        Directory.CreateDirectory(model);
        foreach (var name in new[] { "tokenizer.json", "tokenizer_config.json" })
            File.Copy(Path.Combine(files, name), Path.Combine(model, name));
        File.WriteAllText(Path.Combine(model, "config.json"), """{"max_position_embeddings":4096}""");
        File.WriteAllBytes(Path.Combine(model, "model.onnx"),
            new PublishedDecoder { Vocabulary = Vocabulary, Context = 4096 }.Bytes());
    }
}
