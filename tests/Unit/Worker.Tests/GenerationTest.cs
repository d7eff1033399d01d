using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;
using Sluice.Worker.Generation;
using Sluice.Worker.Generation.Tokenization;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;
using Sluice.Worker.Serving;
using Sluice.Worker.Tests.Providers;

namespace Sluice.Worker.Tests;

/// <summary>Tests text generation with the sample language model, over the generate extension and as a job.</summary>
[Trait("Needs", "publish")]
public sealed class GenerationTest(GenerationTest.Story story) : IClassFixture<GenerationTest.Story>
{
    public sealed class Story : IAsyncLifetime
    {
        private readonly string folder = Directory.CreateTempSubdirectory("sluice-story-").FullName;

        public WorkerProcess Worker { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            TinyModel.Put(folder, "plain", TinyModel.Identity("FP32", -1));
            Directory.CreateSymbolicLink(Path.Combine(folder, "story"), Path.Combine(Repository.Models, "story"));
            Worker = await WorkerProcess.StartAsync(folder);
        }

        public async ValueTask DisposeAsync()
        {
            await Worker.DisposeAsync();
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task The_stream_and_the_whole_response_contain_the_same_text()
    {
        const string body = """{"text_input":"Once upon","parameters":{"max_tokens":60,"temperature":0.7,"seed":9}}""";
        var whole = (string?)(await PostAsync("generate", body))["text_output"];
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v2/models/story/generate_stream")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new StringContent(body),
        };
        using var answer = await story.Worker.Client.SendAsync(request);
        var pieces = (await answer.Content.ReadAsStringAsync())
            .Split('\n')
            .Where(l => l.StartsWith("data: ", StringComparison.Ordinal))
            .Select(l => (string?)JsonNode.Parse(l[6..])!["text_output"]);
        Assert.Equal(whole, string.Concat(pieces));
        Assert.Equal("60", answer.TrailingHeaders.GetValues("X-Sluice-Tokens").Single());
    }

    [Fact]
    public async Task The_same_seed_repeats_the_text_and_temperature_zero_needs_no_seed()
    {
        Assert.Equal(await TextAsync("""{"seed":1}"""), await TextAsync("""{"seed":1}"""));
        Assert.NotEqual(await TextAsync("""{"seed":1}"""), await TextAsync("""{"seed":2}"""));
        Assert.Equal(
            await TextAsync("""{"temperature":0,"seed":1}"""),
            await TextAsync("""{"temperature":0,"seed":2}"""));
    }

    [Fact]
    public async Task Details_contain_each_token_its_log_probability_and_the_finish_reason()
    {
        var body = await PostAsync(
            "generate",
            """{"text_input":"Once upon","parameters":{"max_tokens":30,"temperature":0,"details":true}}""");
        var details = body["details"]!;
        var tokens = details["logprobs"]!.AsArray().Select(t => t!).ToList();
        Assert.Equal((int)body["tokens_generated"]!, tokens.Count(t => !(bool)t["special"]!));
        Assert.Equal((string?)body["text_output"], string.Concat(tokens.Select(t => (string?)t["text"])));
        Assert.All(tokens, t => Assert.True((float)t["logprob"]! is > -20 and <= 0, t.ToJsonString()));
        var tokenizer = Sluice.Worker.Generation.Tokenization.Tokenizers.Load(
            Path.Combine(Repository.Models, "story", "1"));
        Assert.All(tokens.Where(t => !(bool)t["special"]!), t =>
            Assert.Equal([(int)t["id"]!], tokenizer.Encode((string)t["text"]!).Where(id => id != 0)));
        Assert.Equal(
            (string?)body["finish_reason"] == "length" ? "length" : "eos_token",
            (string?)details["finish_reason"]);
        Assert.Null(
            (await PostAsync("generate", """{"text_input":"Once upon","parameters":{"max_tokens":3}}"""))["details"]);
    }

    [Fact]
    public async Task The_most_likely_token_has_a_log_probability_above_the_uniform_one()
    {
        var body = await PostAsync(
            "generate",
            """{"text_input":"Once upon a","parameters":{"max_tokens":1,"temperature":0,"details":true}}""");
        var token = body["details"]!["logprobs"]![0]!;
        Assert.Equal(" time", (string?)token["text"]);
        Assert.InRange((float)token["logprob"]!, Math.Log(0.5), 0);
    }

    [Fact]
    public async Task Details_of_a_stream_have_one_token_for_each_event_and_the_end_in_the_last()
    {
        var free = await TextAsync("""{"temperature":0,"max_tokens":40}""");
        using var answer = await story.Worker.Client.PostAsync("/v2/models/story/generate_stream", new StringContent(
            $$"""{"text_input":"Once upon a time","temperature":0,"max_tokens":40,"details":true,"stop":"""
            + $$"""[{{JsonSerializer.Serialize(free.Substring(20, 5))}}]}"""));
        var events = (await answer.Content.ReadAsStringAsync())
            .Split('\n')
            .Where(l => l.StartsWith("data: ", StringComparison.Ordinal))
            .Select(l => JsonNode.Parse(l[6..])!).ToList();
        Assert.All(
            events.SkipLast(1),
            e => Assert.True(e["details"] is null && e["token"]!["logprob"] is not null, e.ToJsonString()));
        var last = events[^1]["details"]!;
        Assert.Equal(["finish_reason", "token"], last.AsObject().Select(f => f.Key));
        Assert.Equal("stop_sequence", (string?)last["finish_reason"]);
        Assert.StartsWith(
            free[..20],
            string.Concat(events.SkipLast(1).Select(e => (string?)e["token"]!["text"])),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_output_of_a_streamed_job_has_all_tokens()
    {
        using var answer = await story.Worker.Client.PostAsync("/run", new StringContent(
            """{"id":"a","input":{"model":"story","text_input":"Once upon a time","stream":true,"max_tokens":6,"""
            + """ "ignore_eos":true,"details":true}}"""));
        var output = (await answer.Content.ReadAsStringAsync()).Split("event: output\ndata: ")[1];
        Assert.Equal(6, JsonNode.Parse(output)!["details"]!["logprobs"]!.AsArray().Count);
    }

    [Fact]
    public async Task A_stop_string_ends_the_generation_and_is_not_sent()
    {
        var free = await TextAsync("""{"temperature":0,"max_tokens":80}""");
        var stop = free.Substring(20, 5);
        var stopped = await TextAsync(
            $$"""{"temperature":0,"max_tokens":80,"stop":[{{JsonSerializer.Serialize(stop)}}]}""");
        Assert.Equal(free[..free.IndexOf(stop, StringComparison.Ordinal)], stopped);
    }

    [Theory]
    [InlineData("""{"text_input":5}""", "'text_input' is '5'")]
    [InlineData("""{"text_input":"\ud800"}""", "surrogate")]
    [InlineData("""{"text_input":"a","parameters":{"stop":"\ud800"}}""", "surrogate")]
    [InlineData("{}", "text_input")]
    [InlineData("""{"text_input":"a","parameters":{"max_tokens":0}}""", "'parameters.max_tokens' is '0'")]
    [InlineData("""{"text_input":"a","parameters":{"temperature":-1}}""", "'parameters.temperature' is '-1'")]
    [InlineData("""{"text_input":"a","parameters":{"top_q":1}}""", "parameters.top_q")]
    [InlineData(
        """{"text_input":"a","parameters":{"top_k":-2}}""",
        "'parameters.top_k' is '-2'; expected a whole number from 1")]
    [InlineData("""{"text_input":"a","top_p":1.5}""", "'top_p' is '1.5'; expected a number from 0 to 1")]
    [InlineData("""{"text_input":"a","parameters":{"seed":-3}}""", "'parameters.seed' is '-3'")]
    [InlineData("""{"text_input":"a","parameters":{"stop":[1]}}""", "parameters.stop")]
    [InlineData("""{"text_input":"a","parameters":{"ignore_eos":1}}""", "'parameters.ignore_eos' is '1'")]
    [InlineData(
        """{"text_input":"a","parameters":{"min_tokens":9,"max_tokens":8}}""",
        "'parameters.min_tokens' is '9'; expected a whole number from 0 to 8")]
    [InlineData("""{"text_input":"a","details":"yes"}""", "'details' is '\"yes\"'; expected true or false")]
    [InlineData(
        """{"input":{"text_input":"a"}}""",
        "expecting key 'text_input'; the body has 'input', which is a field of jobs: "
        + "send it to POST /v2/{endpoint}/run")]
    [InlineData(
        """{"model":"story","messages":[{"role":"user","content":"a"}]}""",
        "expecting key 'text_input'; the body has 'messages', which is a field of chats: "
        + "send it to POST /v1/chat/completions")]
    [InlineData("""{"text_input":"a","parameters":null}""", "'parameters' is 'null'; expected an object")]
    [InlineData("""{"text_input":"a","max_tokens":0}""", "'max_tokens' is '0'; expected a whole number from 1")]
    [InlineData("""{"max_tokens":2.5,"text_input":"a"}""", "'max_tokens' is '2.5'; expected a whole number from 1")]
    [InlineData(
        """{"text_input":"a","temperature":"hot"}""",
        "'temperature' is '\"hot\"'; expected a number from 0 to 10")]
    [InlineData("""{"text_input":"a","stop":[""]}""", "'stop' is '[\"\"]'; expected at most 16 strings")]
    [InlineData(
        """{"text_input":"a","top_q":1}""",
        "'top_q' is not a known parameter; expected some of max_tokens, temperature")]
    [InlineData("""{"text_input":"a","stop_words":["b"]}""", "'stop_words' is not a known parameter")]
    [InlineData(
        """{"text_input":"a","seed":1,"parameters":{"seed":1}}""",
        "'seed' is specified twice: in 'parameters' and as a field of the request")]
    [InlineData(
        """{"text_input":"a","parameters":{"stop":"b"},"stop":null}""",
        "'stop' is specified twice: in 'parameters' and as a field of the request")]
    public async Task The_error_of_an_invalid_request_names_the_field(string body, string says)
    {
        using var answer = await story.Worker.Client.PostAsync("/v2/models/story/generate", new StringContent(body));
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains(
            says,
            (string?)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["error"],
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_very_long_name_is_truncated_in_the_error()
    {
        var body = $"{{\"text_input\":\"a\",\"{new string('x', 1_000_000)}\":1}}";
        using var answer = await story.Worker.Client.PostAsync("/v2/models/story/generate", new StringContent(body));
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.InRange((await answer.Content.ReadAsByteArrayAsync()).Length, 100, 3000);
    }

    [Theory]
    [InlineData("generate")]
    [InlineData("generate_stream")]
    public async Task Parameters_can_be_fields_of_the_request(string verb)
    {
        var within = await TokensAsync(
            verb,
            """{"id":"7","text_input":"Once upon a time","parameters":"""
            + """{"max_tokens":40,"temperature":2,"seed":4,"ignore_eos":true}}""");
        var beside = await TokensAsync(
            verb,
            """{"max_tokens":40,"id":"7","text_input":"Once upon a time","temperature":2,"parameters":"""
            + """{"seed":4},"ignore_eos":true}""");
        Assert.Equal("40", within.Tokens);
        Assert.Equal(within, beside);
        Assert.NotEqual(
            within,
            await TokensAsync(
                verb,
                """{"id":"7","text_input":"Once upon a time","max_tokens":40,"temperature":2,"seed":5,"ignore_eos":true}"""));
    }

    [Fact]
    public async Task Unknown_parameters_without_a_value_are_ignored() =>
        Assert.Equal(await TextAsync("""{"max_tokens":8,"temperature":0}"""), (string?)(await PostAsync("generate", """
            {"text_input":"Once upon a time","max_tokens":8,"temperature":0,"bad_words":"","stop_words":[],"top_p":null,
             "parameters":{"bad_words":""}}
            """))["text_output"]);

    [Fact]
    public async Task Parameters_of_a_job_can_be_fields_of_its_input()
    {
        const string within = """{"model":"story","text_input":"Once upon a time","parameters":{"max_tokens":60,"seed":4}}""";
        const string beside =
            """{"model":"story","text_input":"Once upon a time","max_tokens":60,"seed":4,"stream":false,"parameters":"""
            + """{"stream":true}}""";
        var texts = new List<string?>();
        foreach (var job in new[] { $$"""{"id":"one","input":{{within}}}""", $$"""{"id":"two","input":{{beside}}}""" })
        {
            using var answer = await story.Worker.Client.PostAsync("/run", new StringContent(job));
            texts.Add((string?)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["output"]!["text_output"]);
        }

        Assert.NotNull(texts[0]);
        Assert.Equal(texts[0], texts[1]);
    }

    [Fact]
    public async Task A_prompt_longer_than_the_context_is_rejected_with_both_lengths()
    {
        using var answer = await story.Worker.Client.PostAsync("/v2/models/story/generate",
            new StringContent("{\"text_input\":\"" + new string('a', 600) + "\"}"));
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("512", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_error_of_a_model_without_text_generation_lists_its_inputs()
    {
        using var answer = await story.Worker.Client.PostAsync(
            "/v2/models/plain/generate",
            new StringContent("""{"text_input":"a"}"""));
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("plain", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(
        """{"input":{"text_input":"Once","model":"story","parameters":{"max_tokens":5,"seed":1}}}""",
        "text_output")]
    [InlineData(
        """{"input":{"model":"plain","inputs":[{"name":"in","datatype":"FP32","shape":[3],"data":[1,2,3]}]}}""",
        "outputs")]
    public async Task The_input_of_a_job_is_a_generation_or_an_inference(string job, string answers)
    {
        using var answer = await story.Worker.Client.PostAsync("/run", new StringContent(job));
        var body = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == HttpStatusCode.OK, body);
        Assert.Contains(answers, body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_job_without_inputs_and_prompt_is_rejected()
    {
        using var answer = await story.Worker.Client.PostAsync(
            "/run",
            new StringContent("""{"input":{"model":"story"}}"""));
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("text_input", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("grüße 🦊!", "", "grüße 🦊!")]
    [InlineData("one two three", "two", "one ")]
    [InlineData("aab", "ab", "a")]
    [InlineData("abab", "abc", "abab")]
    [InlineData("x\n\ny", "\n\n", "x")]
    public void Bytes_are_decoded_to_whole_characters_up_to_a_stop_string(string bytes, string stop, string text)
    {
        var stream = new TextStream(new ByteTokenizer(0).CreateDecoder(), stop.Length > 0 ? [stop] : []);
        var said = new StringBuilder();
        foreach (var b in Encoding.UTF8.GetBytes(bytes))
        {
            var piece = stream.Push(b);
            Assert.DoesNotContain('�', piece);
            said.Append(piece);
            if (stream.Stopped) break;
        }

        Assert.Equal(text, said.Append(stream.Finish()).ToString());
    }

    [Fact]
    public void An_incomplete_character_at_the_end_is_replaced()
    {
        var stream = new TextStream(new ByteTokenizer(0).CreateDecoder(), []);
        Assert.Equal("", stream.Push(0xF0));
        Assert.Equal("�", stream.Finish());
    }

    [Theory]
    [InlineData("\"top_k\":1")]
    [InlineData("\"top_p\":0")]
    [InlineData("\"top_k\":1,\"top_p\":0.5,\"temperature\":3")]
    [InlineData("\"top_k\":-1,\"temperature\":0")]
    public async Task Temperature_zero_selects_the_most_likely_token(string parameters) =>
        Assert.Equal(
            await TextAsync("""{"max_tokens":40,"temperature":0}"""),
            await TextAsync($$"""{"max_tokens":40,{{parameters}}}"""));

    [Fact]
    public void The_sampler_follows_the_distribution()
    {
        var sampler = new Sampler(1, 42);
        float[] logits = [0, MathF.Log(3)];
        var ones = Enumerable.Range(0, 10_000).Count(_ => sampler.Next(logits) == 1);
        // Expected are 3 of 4; four standard deviations are 173.
        Assert.InRange(ones, 7_327, 7_673);
    }

    [Fact]
    public async Task A_decoder_with_a_defective_cache_is_rejected_at_load()
    {
        // The model behaves like one with a cache in the wrong memory: it causes no error, only wrong tokens.
        var folder = Directory.CreateTempSubdirectory("sluice-decoder-").FullName;
        TinyModel.Put(folder, "whole", TinyDecoder.Bytes());
        await using (var worker = await WorkerProcess.StartAsync(folder))
            Assert.Contains("whole", await worker.Client.GetStringAsync("/v2/models"), StringComparison.Ordinal);
        TinyModel.Put(folder, "whole", TinyDecoder.Bytes(keepsItsCache: false));
        await using var refused = WorkerProcess.Launch(folder);
        Assert.Equal(3, await refused.ExitAsync());
        await refused.LineAsync("its key/value cache does not return the values that were written");
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public void A_run_that_fails_returns_its_cache()
    {
        var folder = Directory.CreateTempSubdirectory("sluice-decoder-").FullName;
        TinyModel.Put(folder, "decoder", TinyDecoder.Bytes());
        var path = Path.Combine(folder, "decoder", "1", "model.onnx");
        var lanes = new ExecutionSlots(1);
        using (var model = new LoadedModel("decoder", "1", new ModelFile(path, path, false),
            new ExecutionProviders(["cpu"]), lanes, new BatchLimits(1)))
        {
            var generator = model.Generator!;
            var room = generator.TokenRoom;
            for (var n = 0; n < 3; n++)
                Assert.ThrowsAny<Exception>(() => generator.LogitsAfter(new int[generator.Context + 1]));
            // Each cache that is not returned is replaced by a new one.
            Assert.Equal(room, generator.TokenRoom);
            Assert.Equal(0, generator.TokensHeld);
            Assert.NotEmpty(generator.LogitsAfter([1, 2]));
        }

        Directory.Delete(folder, recursive: true);
    }

    private async Task<string> TextAsync(string parameters) =>
        (string)(await PostAsync("generate", $$"""{"text_input":"Once upon a time","parameters":{{parameters}}}"""))["text_output"]!;

    /// <summary>Returns the response and its number of tokens.</summary>
    private async Task<(string Body, string Tokens)> TokensAsync(string verb, string body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/v2/models/story/{verb}")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new StringContent(body),
        };
        using var answer = await story.Worker.Client.SendAsync(request);
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == HttpStatusCode.OK, text);
        return (
            text,
            (verb == "generate" ? answer.Headers : answer.TrailingHeaders).GetValues("X-Sluice-Tokens").Single());
    }

    private async Task<JsonNode> PostAsync(string verb, string body)
    {
        using var answer = await story.Worker.Client.PostAsync($"/v2/models/story/{verb}", new StringContent(body));
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == HttpStatusCode.OK, text);
        return JsonNode.Parse(text)!;
    }
}
