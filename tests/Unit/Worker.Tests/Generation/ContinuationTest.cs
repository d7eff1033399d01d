using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.Worker.Tests.Generation;

/// <summary>
/// Tests that a worker continues the streams of another one: for each part of a stream that a client can have, the rest
/// that a worker sends is the rest of the undisturbed stream.
/// </summary>
[Trait("Needs", "publish")]
public sealed class ContinuationTest : IClassFixture<ContinuationTest.TwoWorkers>
{
    private const string Chat = "v1/chat/completions", Completions = "v1/completions";

    private const string Messages = """ "model":"story","messages":[{"role":"user","content":"Write a story."}] """;

    private const string Tool = """
        {"type":"function","function":{"name":"add","parameters":{"type":"object",
        "properties":{"a":{"type":"integer"},"b":{"type":"string","maxLength":6}},"required":["a","b"],
        "additionalProperties":false}}}
        """;

    private const string Schema = """
        {"type":"object","properties":{"name":{"type":"string","maxLength":8},
        "sums":{"type":"array","items":{"type":"integer","maximum":99},"maxItems":3}},
        "required":["name","sums"],"additionalProperties":false}
        """;

    private readonly TwoWorkers workers;

    public ContinuationTest(TwoWorkers workers) => this.workers = workers;

    public static TheoryData<string, string, string> Requests => new()
    {
        { "greedy", Chat, """ "temperature":0,"max_tokens":24,"stream_options":{"include_usage":true} """ },
        {
            "sampled without a seed", Chat,
            """ "temperature":1.2,"top_p":0.95,"max_tokens":24,"stream_options":{"include_usage":true} """
        },
        {
            "penalties and a minimum", Chat,
            """
            "temperature":0,"max_tokens":40,"min_tokens":36,"presence_penalty":2,"frequency_penalty":2,
            "logit_bias":{"50":3}
            """
        },
        {
            "several choices", Chat,
            """ "n":3,"temperature":1,"seed":1,"max_tokens":12,"stream_options":{"include_usage":true} """
        },
        {
            "log probabilities", Chat,
            """ "temperature":0.8,"seed":3,"max_tokens":10,"logprobs":true,"top_logprobs":2 """
        },
        {
            "a schema", Chat,
            $$$"""
            "temperature":1,"seed":7,
            "response_format":{"type":"json_schema","json_schema":{"schema":{{{Schema}}}}}
            """
        },
        {
            "a tool", Chat,
            $$""" "temperature":1,"seed":9,"max_tokens":80,"tools":[{{Tool}}],"tool_choice":"required" """
        },
        { "an answer with tools", Chat, $$""" "temperature":0,"max_tokens":12,"tools":[{{Tool}}] """ },
        // Most tokens can be the start of one of these strings, so their text is held back.
        {
            "stop strings", Completions,
            """
            "prompt":"Once upon","temperature":0,"max_tokens":40,
            "stop":[" a zebra"," was zebra"," the zebra","e zebra","y zebra",", zebra",". zebra"]
            """
        },
        {
            "prompts that are repeated", Completions,
            """
            "prompt":["Once upon","One day,"],"n":2,"echo":true,"temperature":1,"seed":4,"max_tokens":10,"logprobs":1,
            "stream_options":{"include_usage":true}
            """
        },
    };

    [Theory]
    [MemberData(nameof(Requests))]
    public async Task The_rest_of_a_stream_is_the_rest_of_the_undisturbed_stream(string _, string path, string fields)
    {
        var body = $$"""{{{(path == Chat ? Messages : "\"model\":\"story\"")}},"stream":true,{{fields}}}""";
        var whole = await MarkedStream.StartAsync(workers.First.Client, path, body);
        Assert.True(whole.Parts.Count > 5);
        Assert.Equal("end", whole.Parts[^1].Mark);
        for (var parts = 0; parts < whole.Parts.Count; parts++)
        {
            var rest = await whole.ContinueAsync(workers.Second.Client, path, body, parts);
            Assert.Equal(whole.Announced, rest.Announced);
            var had = string.Concat(whole.Parts.Take(parts).Select(p => p.Events));
            AssertEqual(whole.Text, had + rest.Text);
        }
    }

    [Fact]
    public async Task A_continued_stream_can_be_continued_again()
    {
        var body = $$"""{{{Messages}},"stream":true,"temperature":1,"max_tokens":30}""";
        var whole = await MarkedStream.StartAsync(workers.First.Client, Chat, body);
        var (text, at) = ("", whole);
        // The client gets one part of each stream.
        for (var i = 0; i < 6; i++)
        {
            text += at.Parts[i].Events;
            var next = await at.ContinueAsync((i % 2 == 0 ? workers.Second : workers.First).Client, Chat, body, i + 1);
            at = at with { Parts = [.. at.Parts.Take(i + 1), .. next.Parts] };
        }

        AssertEqual(whole.Text, text + string.Concat(at.Parts.Skip(6).Select(p => p.Events)));
    }

    [Fact]
    public async Task Tokens_of_another_worker_are_not_counted_as_generated()
    {
        var body = $$"""
            {{{Messages}},"stream":true,"temperature":0,"max_tokens":20,"ignore_eos":true,"cache_salt":"x"}
            """;
        var whole = await MarkedStream.StartAsync(workers.First.Client, Chat, body);
        var (generated, again) = (await CountAsync("sluice_generation_tokens_total"),
            await CountAsync("sluice_generation_recomputed_tokens_total"));
        // The cache of the worker has no text with this salt.
        await whole.ContinueAsync(workers.Second.Client, Chat, body, 15);
        Assert.Equal(5, await CountAsync("sluice_generation_tokens_total") - generated);
        Assert.Equal(15, await CountAsync("sluice_generation_recomputed_tokens_total") - again);
    }

    [Theory]
    [InlineData("another", "", HttpStatusCode.BadRequest)]
    [InlineData(null, "x ", HttpStatusCode.BadRequest)]
    [InlineData(null, "5: ", HttpStatusCode.BadRequest)]
    [InlineData(null, "9:5 ", HttpStatusCode.BadRequest)]
    [InlineData(null, "! 5 ", HttpStatusCode.BadRequest)]
    [InlineData(null, "5 5 5 5 ", HttpStatusCode.BadRequest)]
    [InlineData("00.6f9619ff8b86d011b42d00c04fc964ff.1.1", "5 ", HttpStatusCode.Conflict)]
    public async Task A_continuation_that_no_stream_has_is_refused(
        string? announced, string marks, HttpStatusCode expected)
    {
        var body = $$"""{{{Messages}},"stream":true,"max_tokens":4}""";
        var whole = await MarkedStream.StartAsync(workers.First.Client, Chat, body);
        var (status, answer) = await MarkedStream.TryAsync(
            workers.Second.Client, Chat, body, announced ?? whole.Announced, marks);
        Assert.Equal(expected, status);
        Assert.NotEmpty((string)JsonNode.Parse(answer)!["error"]!["message"]!);
    }

    [Fact]
    public async Task Another_prompt_is_not_continued()
    {
        var body = $$"""{{{Messages}},"stream":true,"max_tokens":4}""";
        var whole = await MarkedStream.StartAsync(workers.First.Client, Chat, body);
        var (status, _) = await MarkedStream.TryAsync(workers.Second.Client, Chat,
            body.Replace("story.", "tale.", StringComparison.Ordinal), whole.Announced, "5 ");
        Assert.Equal(HttpStatusCode.Conflict, status);
    }

    [Fact]
    public async Task A_client_that_asks_for_no_marks_gets_none()
    {
        using var content = new StringContent($$"""{{{Messages}},"stream":true,"max_tokens":4}""");
        using var response = await workers.First.Client.PostAsync(new Uri(Chat, UriKind.Relative), content);
        var text = await response.Content.ReadAsStringAsync();
        Assert.False(response.Headers.Contains("X-Sluice-Resume"));
        Assert.All(text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries),
            e => Assert.StartsWith("data: ", e, StringComparison.Ordinal));
    }

    private async Task<long> CountAsync(string metric) =>
        (await workers.Second.Client.GetStringAsync("metrics")).Split('\n')
            .Where(l => l.StartsWith(metric + "{", StringComparison.Ordinal))
            .Sum(l => long.Parse(l.Split(' ')[^1], System.Globalization.CultureInfo.InvariantCulture));

    /// <summary>
    /// Compares the events of each choice. The order of events of different choices is not determined, and log
    /// probabilities can differ by rounding.
    /// </summary>
    private static void AssertEqual(string expected, string actual)
    {
        var (left, right) = (Events(expected), Events(actual));
        Assert.Equal(left.Keys.Order(), right.Keys.Order());
        foreach (var (choice, events) in left)
        {
            Assert.Equal(events.Count, right[choice].Count);
            foreach (var (one, other) in events.Zip(right[choice]))
                Assert.True(Same(one, other, ""), $"{one?.ToJsonString()}\n{other?.ToJsonString()}");
        }
    }

    private static Dictionary<int, List<JsonNode?>> Events(string text)
    {
        var events = new Dictionary<int, List<JsonNode?>>();
        foreach (var line in text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries))
        {
            Assert.StartsWith("data: ", line, StringComparison.Ordinal);
            var json = line == "data: [DONE]" ? JsonValue.Create("done") : JsonNode.Parse(line[6..]);
            var choice = json is JsonObject && json["choices"]!.AsArray() is [var only] ? (int)only!["index"]! : -1;
            if (!events.TryGetValue(choice, out var list)) events.Add(choice, list = []);
            list.Add(json);
        }

        return events;
    }

    private static bool Same(JsonNode? one, JsonNode? other, string name) => (one, other) switch
    {
        (JsonObject a, JsonObject b) => a.Select(p => p.Key).SequenceEqual(b.Select(p => p.Key))
            && a.All(p => Same(p.Value, b[p.Key], p.Key)),
        (JsonArray a, JsonArray b) => a.Count == b.Count && a.Zip(b).All(p => Same(p.First, p.Second, name)),
        (null, null) => true,
        (null, _) or (_, null) => false,
        // The worker that continues chooses the id of a call that the client has not seen, and has its own cache.
        _ when name == "cached_tokens" => true,
        _ when name == "id" && one.GetValue<string>().StartsWith("call_", StringComparison.Ordinal) => true,
        _ when one.GetValueKind() == JsonValueKind.Number => Math.Abs((double)one - (double)other) < 1e-3,
        _ => JsonNode.DeepEquals(one, other),
    };

    /// <summary>Two workers with the same model.</summary>
    public sealed class TwoWorkers : IAsyncLifetime
    {
        private readonly string folder = Directory.CreateTempSubdirectory("sluice-continuation-").FullName;

        internal WorkerProcess First { get; private set; } = null!;

        internal WorkerProcess Second { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            Directory.CreateSymbolicLink(
                Path.Combine(folder, "story"), Path.Combine(Repository.Models, "story"));
            First = await WorkerProcess.StartAsync(folder);
            Second = await WorkerProcess.StartAsync(folder);
        }

        public async ValueTask DisposeAsync()
        {
            await First.DisposeAsync();
            await Second.DisposeAsync();
            Directory.Delete(folder, recursive: true);
        }
    }
}
