using System.Net;
using System.Text.Json.Nodes;
using Sluice.Testing;
using Sluice.Worker.Tests.Providers;

namespace Sluice.Worker.Tests;

/// <summary>Tests how generations end, for clients and in the statistics.</summary>
[Trait("Needs", "publish")]
public sealed class GenerationEndTest : IAsyncLifetime
{
    private const string Parameters = """{"max_tokens":50,"seed":3,"ignore_eos":true}""";

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-generation-").FullName;
    private WorkerProcess worker = null!;

    public async ValueTask InitializeAsync()
    {
        // The model fails when it reads a generated token above 127.
        TinyModel.Put(folder, "fails", TinyDecoder.Bytes(reads: 128));
        TinyModel.Put(folder, "tiny-text", TinyDecoder.Bytes());
        TinyModel.Put(folder, "plain", TinyModel.Identity("FP32", -1));
        worker = await WorkerProcess.StartAsync(folder);
    }

    public async ValueTask DisposeAsync()
    {
        await worker.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task An_error_in_a_stream_is_its_last_event()
    {
        var events = await EventsAsync(
            "/v2/models/fails/generate_stream",
            $$"""{"text_input":"a","parameters":{{Parameters}}}""");
        Assert.All(events, e => Assert.StartsWith("data: ", e, StringComparison.Ordinal));
        Assert.Contains(
            "out of data bounds",
            (string?)JsonNode.Parse(events[^1][6..])!["error"],
            StringComparison.Ordinal);
        Assert.All(events.SkipLast(1), e => Assert.NotNull(JsonNode.Parse(e[6..])!["text_output"]));

        var job = await EventsAsync(
            "/run",
            $$"""{"input":{"model":"fails","stream":true,"text_input":"a","parameters":{{Parameters}} } }""");
        Assert.StartsWith("event: error\ndata: {\"error\":", job[^1], StringComparison.Ordinal);
        Assert.Equal(events.SkipLast(1), job.SkipLast(1));

        var stats = await StatisticsAsync("fails");
        Assert.Equal((0, 2), (Count(stats["inference_stats"]!["success"]), Count(stats["inference_stats"]!["fail"])));
        Assert.Equal(2, Count(stats["response_stats"]![$"{events.Length - 1}"]!["fail"]));
        Assert.Equal(2, Count(stats["response_stats"]![$"{events.Length - 2}"]!["success"]));
    }

    [Fact]
    public async Task An_error_before_the_stream_has_a_status_code()
    {
        using var answer = await worker.Client.PostAsync(
            "/v2/models/fails/generate_stream",
            new StringContent("""{"text_input":"ü"}"""));
        Assert.Equal(
            (HttpStatusCode.BadRequest, "application/json"),
            (answer.StatusCode, answer.Content.Headers.ContentType!.MediaType));
        Assert.Equal(1, Count((await StatisticsAsync("fails"))["response_stats"]!["0"]!["fail"]));
    }

    [Fact]
    public async Task Responses_are_counted_by_their_index_and_a_generation_as_one_request()
    {
        await EventsAsync(
            "/v2/models/tiny-text/generate_stream",
            $$"""{"text_input":"a","parameters":{{Parameters}}}""");
        using (
            var whole = await worker.Client.PostAsync(
                "/v2/models/tiny-text/generate",
                new StringContent($$"""{"text_input":"a","parameters":{{Parameters}}}""")))
            Assert.Equal("50", whole.Headers.GetValues("X-Sluice-Tokens").Single());
        var stats = await StatisticsAsync("tiny-text");
        Assert.Equal(
            (2, 2, 2),
            (
                (int)stats["inference_count"]!,
                (int)stats["execution_count"]!,
                Count(stats["inference_stats"]!["success"])));
        var responses = stats["response_stats"]!.AsObject();
        Assert.Equal(Enumerable.Range(0, 50).Select(i => $"{i}"), responses.Select(r => r.Key));
        Assert.Equal(
            ["compute_infer", "compute_output", "success", "fail", "empty_response", "cancel"],
            responses["0"]!.AsObject().Select(f => f.Key));
        Assert.Equal((2, 1), (Count(responses["0"]!["compute_infer"]), Count(responses["49"]!["success"])));
        Assert.Equal(responses.Sum(r => (long)r.Value!["success"]!["ns"]!),
            responses.Sum(r => (long)r.Value!["compute_infer"]!["ns"]! + (long)r.Value!["compute_output"]!["ns"]!));
        Assert.Contains(
            "sluice_model_tokens_total{model=\"tiny-text\",version=\"1\"} 100\n",
            await worker.Client.GetStringAsync("/metrics"),
            StringComparison.Ordinal);
        Assert.Equal("{}", (await StatisticsAsync("plain"))["response_stats"]!.ToJsonString());
    }

    [Fact]
    public async Task A_disconnected_client_cancels_the_pending_response()
    {
        await using var slow = await WorkerProcess.StartAsync(
            Repository.Models,
            new Dictionary<string, string?> { ["SLUICE_MODELS"] = "story" });
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v2/models/story/generate_stream")
        {
            Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            // Each event contains the id. The events are larger than the buffers of a connection that is not read, so
            // the generation cannot end before the client disconnects.
            Content = new StringContent($$$"""{"id":"{{{new string('x', 4000)}}}","text_input":"a","parameters":"""
                + $$$"""{"max_tokens":500,"seed":1,"ignore_eos":true}}"""),
        };
        using (var answer = await slow.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead))
        using (var reader = new StreamReader(await answer.Content.ReadAsStreamAsync())) await reader.ReadLineAsync();
        await slow.Process.LineAsync("the client is gone");
        var stats = JsonNode.Parse(await slow.Client.GetStringAsync("/v2/models/story/stats"))!["model_stats"]![0]!;
        Assert.Equal(1, Count(stats["inference_stats"]!["fail"]));
        Assert.Equal(1, stats["response_stats"]!.AsObject().Sum(r => Count(r.Value!["cancel"])));
    }

    private static int Count(JsonNode? times) => (int)times!["count"]!;

    private async Task<string[]> EventsAsync(string path, string body)
    {
        using var answer = await worker.Client.PostAsync(path, new StringContent(body));
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == HttpStatusCode.OK, text);
        return text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
    }

    private async Task<JsonNode> StatisticsAsync(string model) =>
        JsonNode.Parse(await worker.Client.GetStringAsync($"/v2/models/{model}/stats"))!["model_stats"]![0]!;
}
