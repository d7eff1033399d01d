using System.Buffers.Binary;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>The sample endpoints of deploy/endpoints.yaml do what their cards say, through the gateway.</summary>
public sealed class SampleModelsTest(SampleModelsTest.Samples samples) : IClassFixture<SampleModelsTest.Samples>
{
    public sealed class Samples : IAsyncLifetime
    {
        public GatewayProcess Gateway { get; private set; } = null!;

        public async ValueTask InitializeAsync() =>
            Gateway = await GatewayProcess.StartAsync(await File.ReadAllTextAsync(Path.Combine(Repository.Root, "deploy", "endpoints.yaml")));

        public async ValueTask DisposeAsync() => await Gateway.DisposeAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Digits_in_fonts_the_model_never_saw_are_read_right(bool binary)
    {
        var images = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(Repository.Models, "digits", "samples", "samples.json")))!.AsArray();
        var right = 0;
        foreach (var image in images)
        {
            var pixels = image!["image"]!.AsArray().Select(p => (float)p!).ToArray();
            if (await ReadDigitAsync(pixels, binary) == (int)image["digit"]!) right++;
        }

        Assert.True(images.Count >= 10);
        Assert.Equal(images.Count, right);
    }

    [Fact]
    public async Task The_report_of_a_host_contains_its_diagnostics()
    {
        var report = await samples.Gateway.UntilAsync("/api/v1/hosts", h => h["hosts"]!.AsArray().Count == 1);
        var doctor = report["hosts"]![0]!["doctor"]!;
        Assert.True((bool)doctor["served"]!);
        Assert.Contains("serve", (string?)doctor["verdict"], StringComparison.Ordinal);
        Assert.Contains(doctor["layers"]!.AsArray(), l => (string?)l!["layer"] == "ONNX Runtime");
    }

    [Fact]
    public async Task A_story_comes_token_by_token_and_the_same_seed_tells_it_again()
    {
        var first = await StoryAsync();
        var second = await StoryAsync();

        Assert.Equal(first.Text, second.Text);
        Assert.True(first.Events > 20);
        Assert.Matches("[a-z]{3,} [a-z]{2,}", first.Text);
    }

    [Theory]
    [InlineData("Write a story about a fox.", ". ")]
    [InlineData("What is the opposite of hot?", "cold")]
    [InlineData("Hello!", "H")]
    public async Task The_story_model_answers_and_ends_its_answer(string question, string says)
    {
        using var answer = await samples.Gateway.Client.PostAsJsonAsync("/e/story/v1/chat/completions", new
        {
            model = "story", temperature = 0, messages = new[] { new { role = "user", content = question } },
        });
        var choice = (await answer.Content.ReadFromJsonAsync<JsonObject>())!["choices"]![0]!;
        Assert.Contains(says, (string?)choice["message"]!["content"], StringComparison.Ordinal);
        Assert.Equal("stop", (string?)choice["finish_reason"]);
    }

    [Fact]
    public async Task Sentences_with_a_similar_meaning_have_similar_embeddings()
    {
        using var body = new StringContent(GatewayProcess.Example("embed"));
        using var answer = await samples.Gateway.Client.PostAsync("/e/embed/v1/embeddings", body);
        var vectors = (await answer.Content.ReadFromJsonAsync<JsonObject>())!["data"]!.AsArray()
            .Select(d => d!["embedding"]!.AsArray().Select(v => (float)v!).ToArray()).ToList();
        Assert.All(vectors, v => Assert.Equal((384, 1), (v.Length, Math.Round(Dot(v, v), 3))));
        // A cat, a kitten, and the stock market.
        Assert.True(Dot(vectors[0], vectors[1]) > 0.5, $"{Dot(vectors[0], vectors[1])}");
        Assert.True(Dot(vectors[0], vectors[2]) < 0.2, $"{Dot(vectors[0], vectors[2])}");
    }

    [Fact]
    public async Task Inputs_by_their_names_give_what_an_inference_gives_and_the_workers_load_is_told()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v2/models/embed/generate") { Content = new StringContent("""{"input_ids":[101,7592,102],"attention_mask":[1,1,1],"token_type_ids":[0,0,0]}""") };
        request.Headers.Add("endpoint-load-metrics-format", "json");
        using var answer = await samples.Gateway.Client.SendAsync(request);
        var told = (await answer.Content.ReadFromJsonAsync<JsonObject>())!;
        Assert.Equal(await LastOutputAsync(101, 7592, 102), told.Last().Value!.AsArray().Select(v => (float)v!));
        var load = Assert.Single(answer.Headers.GetValues("endpoint-load-metrics"));
        Assert.Equal(1, (double)JsonNode.Parse(load["JSON ".Length..])!["named_metrics"]!["requests_inside"]!);
    }

    private async Task<int> ReadDigitAsync(float[] pixels, bool binary)
    {
        using HttpContent content = binary ? Binary(pixels) : JsonContent.Create(new
        {
            inputs = new[] { new { name = "image", shape = new[] { 1, 1, 28, 28 }, datatype = "FP32", data = pixels } },
        });
        using var answer = await samples.Gateway.Client.PostAsync("/v2/models/digits/infer", content);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        var logits = binary ? await FromBinaryAsync(answer)
            : [.. (await answer.Content.ReadFromJsonAsync<JsonObject>())!["outputs"]![0]!["data"]!.AsArray().Select(v => (float)v!)];
        return Array.IndexOf(logits, logits.Max());
    }

    private static ByteArrayContent Binary(float[] pixels)
    {
        var head = JsonSerializer.SerializeToUtf8Bytes(new
        {
            inputs = new[]
            {
                new { name = "image", shape = new[] { 1, 1, 28, 28 }, datatype = "FP32", parameters = new { binary_data_size = pixels.Length * 4 } },
            },
            parameters = new { binary_data_output = true },
        });
        var body = new byte[head.Length + pixels.Length * 4];
        head.CopyTo(body, 0);
        for (var i = 0; i < pixels.Length; i++) BinaryPrimitives.WriteSingleLittleEndian(body.AsSpan(head.Length + 4 * i), pixels[i]);
        var content = new ByteArrayContent(body);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        content.Headers.Add("Inference-Header-Content-Length", $"{head.Length}");
        return content;
    }

    private static async Task<float[]> FromBinaryAsync(HttpResponseMessage answer)
    {
        var head = int.Parse(Assert.Single(answer.Headers.TryGetValues("Inference-Header-Content-Length", out var v) ? v
            : answer.Content.Headers.GetValues("Inference-Header-Content-Length")), System.Globalization.CultureInfo.InvariantCulture);
        var body = await answer.Content.ReadAsByteArrayAsync();
        return [.. Enumerable.Range(0, 10).Select(i => BinaryPrimitives.ReadSingleLittleEndian(body.AsSpan(head + 4 * i)))];
    }

    private async Task<(string Text, int Events)> StoryAsync()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v2/models/story/generate_stream")
        {
            Content = new StringContent("""{"text_input":"Once upon a time","parameters":{"max_tokens":120,"temperature":0.6,"seed":3}}"""),
        };
        using var answer = await samples.Gateway.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", answer.Content.Headers.ContentType!.MediaType);
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync());
        var text = new StringBuilder();
        var events = 0;
        while (await reader.ReadLineAsync() is { } line)
        {
            if (!line.StartsWith("data: ", StringComparison.Ordinal)) continue;
            events++;
            text.Append((string?)JsonNode.Parse(line[6..])!["text_output"]);
        }

        return (text.ToString(), events);
    }

    /// <summary>Returns the last output of the model for tokens.</summary>
    private async Task<float[]> LastOutputAsync(params long[] tokens)
    {
        var ones = Enumerable.Repeat(1L, tokens.Length).ToArray();
        using var answer = await samples.Gateway.Client.PostAsJsonAsync("/v2/models/embed/infer", new
        {
            inputs = new[] { Input("input_ids", tokens), Input("attention_mask", ones), Input("token_type_ids", new long[tokens.Length]) },
        });
        static object Input(string name, long[] data) => new { name, shape = new[] { 1, data.Length }, datatype = "INT64", data };
        return [.. (await answer.Content.ReadFromJsonAsync<JsonObject>())!["outputs"]!.AsArray()[^1]!["data"]!.AsArray().Select(v => (float)v!)];
    }

    private static float Dot(float[] a, float[] b) => a.Zip(b, (x, y) => x * y).Sum();
}
