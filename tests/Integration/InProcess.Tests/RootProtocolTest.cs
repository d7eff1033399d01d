using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests the Open Inference Protocol and Triton's extensions at the root paths of the gateway.</summary>
[Trait("Needs", "publish")]
public sealed class RootProtocolTest(RootProtocolTest.Running running) : IClassFixture<RootProtocolTest.Running>
{
    public sealed class Running : IAsyncLifetime
    {
        public InProcessGateway Gateway { get; private set; } = null!;

        /// <summary>A client whose key may only use the endpoint digits.</summary>
        public HttpClient Digits { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            Gateway = await InProcessGateway.StartAsync(Manifests.With(Manifests.Endpoint("digits"),
                Manifests.Endpoint("story"), Manifests.Endpoint("embed")), InProcessGateway.WithWorker());
            using var answer = await Gateway.Client.PostAsJsonAsync("/api/v1/keys",
                new { name = "test", invoke = new[] { "digits" } });
            Digits = Gateway.ClientFor((string)(await answer.Content.ReadFromJsonAsync<JsonObject>())!["key"]!);
        }

        public async ValueTask DisposeAsync()
        {
            Digits.Dispose();
            await Gateway.DisposeAsync();
        }
    }

    [Theory]
    [InlineData("/v2/models/digit/infer", 404, "No endpoint serves the model 'digit'. Did you mean 'digits'?")]
    [InlineData("/v2/models/digits/unknown", 404, "The path '/v2/models/digits/unknown' does not exist")]
    [InlineData("/v2/models/digits/ready", 405, "The path '/v2/models/digits/ready' does not support the method POST")]
    [InlineData("/v2/repository/models/digits/load", 400, "POST /e/digits/v2/repository/models/digits/load")]
    [InlineData("/v2/repository/models/story/unload", 400, "POST /e/story/v2/repository/models/story/unload")]
    [InlineData("/v2/logging", 400, "POST /e/{endpoint}/v2/logging")]
    [InlineData("/v2/trace/setting", 400, "POST /e/{endpoint}/v2/trace/setting")]
    [InlineData("/v2/systemsharedmemory/region/r/register", 501, "Shared memory is not supported")]
    public async Task An_error_of_the_gateway_has_the_format_of_the_protocol(string path, int status, string says)
    {
        using var answer = await running.Gateway.Client.PostAsync(path, new StringContent("{}"));
        var body = await answer.Content.ReadAsStringAsync();
        Assert.True((int)answer.StatusCode == status, body);
        Assert.Equal("application/json", answer.Content.Headers.ContentType!.ToString());
        var error = Assert.Single(JsonNode.Parse(body)!.AsObject());
        Assert.Equal("error", error.Key);
        Assert.Contains(says, (string?)error.Value, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/v1/chat/completions")]
    [InlineData("/e/story/v1/chat/completions")]
    public async Task An_error_under_v1_has_the_format_of_OpenAI(string path)
    {
        using var client = running.Gateway.ClientFor("hello");
        using var answer = await client.PostAsync(path, new StringContent("{}"));
        var error = (await answer.Content.ReadFromJsonAsync<JsonObject>())!["error"]!;
        Assert.Equal("invalid_request_error", (string?)error["type"]);
        Assert.NotEmpty((string)error["message"]!);
    }

    [Fact]
    public async Task Errors_of_jobs_are_problem_details_and_have_a_hint_for_a_body_of_the_protocol()
    {
        using var answer = await running.Gateway.Client.PostAsync("/v2/digits/run",
            new StringContent(InProcessGateway.Example("digits")));
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType!.MediaType);
        Assert.Contains("""{"input": {"inputs": [...]}}""",
            (string?)(await answer.Content.ReadFromJsonAsync<JsonObject>())!["error"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_version_that_is_not_served_is_not_ready_with_or_without_a_worker()
    {
        // A dedicated endpoint: the request of another test must not start its worker.
        Assert.Equal((200, 404, 404), (await ReadyAsync("embed", "1"), await ReadyAsync("embed", "9"),
            await ReadyAsync("embed", "x")));
        Assert.Empty(await running.Gateway.WorkersAsync("embed"));
        using (var answer = await running.Gateway.Client.PostAsync("/e/embed/v1/embeddings",
            new StringContent(InProcessGateway.Example("embed"))))
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal((200, 404), (await ReadyAsync("embed", "1"), await ReadyAsync("embed", "9")));
    }

    [Fact]
    public async Task The_index_has_the_models_of_the_callers_endpoints()
    {
        using var all = await running.Gateway.Client.PostAsync("/v2/repository/index", null);
        Assert.Equal(
            """[{"name":"digits","version":"1","state":"READY"},{"name":"embed","version":"1","state":"READY"},{"name":"story","version":"1","state":"READY"}]""",
            await all.Content.ReadAsStringAsync());
        using var some = await running.Digits.PostAsync("/v2/repository/index",
            new StringContent("""{"ready":true}"""));
        Assert.Equal("""[{"name":"digits","version":"1","state":"READY"}]""", await some.Content.ReadAsStringAsync());
        Assert.Equal("""{"models":["digits"]}""",
            await running.Digits.GetStringAsync(new Uri("/v2/models", UriKind.Relative)));
        using var wrong = await running.Digits.PostAsync("/v2/repository/index", new StringContent("""{"ready":1}"""));
        Assert.Equal("""{"error":"ready is '1'; expected true or false."}""", await wrong.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task The_statistics_cover_the_ready_workers_of_the_callers_endpoints()
    {
        using (await running.Gateway.Client.PostAsync("/v2/models/digits/infer",
            new StringContent(InProcessGateway.Example("digits"))))
        using (await running.Gateway.Client.PostAsync("/v2/models/story/generate",
        new StringContent("""{"text_input":"Once","max_tokens":2}""")))
        {
            var all = (await running.Gateway.GetAsync("/v2/models/stats"))["model_stats"]!.AsArray();
            Assert.Superset(new HashSet<string> { "digits", "story" },
                all.Select(m => (string)m!["name"]!).ToHashSet());
            Assert.All(all.Where(m => (string?)m!["name"] != "embed"),
                m => Assert.True((int)m!["inference_stats"]!["success"]!["count"]! > 0, m.ToJsonString()));
        }

        var own = JsonNode.Parse(await running.Digits.GetStringAsync(new Uri("/v2/models/stats",
            UriKind.Relative)))!["model_stats"]!.AsArray();
        Assert.Equal("digits", (string?)Assert.Single(own)!["name"]);
    }

    [Theory]
    [InlineData("/metrics")]
    [InlineData("/metrics/workers")]
    public async Task Metrics_are_compressed_if_the_client_accepts_gzip(string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue("gzip"));
        using var answer = await running.Gateway.Client.SendAsync(request);
        Assert.Equal(["gzip"], answer.Content.Headers.ContentEncoding);
        await using var gzip = new GZipStream(await answer.Content.ReadAsStreamAsync(), CompressionMode.Decompress);
        using var reader = new StreamReader(gzip);
        var text = await reader.ReadToEndAsync();
        if (path == "/metrics") Assert.Contains("# TYPE sluice_workers gauge", text, StringComparison.Ordinal);
        using var plain = await running.Gateway.Client.GetAsync(new Uri(path, UriKind.Relative));
        Assert.Empty(plain.Content.Headers.ContentEncoding);
    }

    private async Task<int> ReadyAsync(string model, string version)
    {
        using var answer = await running.Gateway.Client.GetAsync(new Uri($"/v2/models/{model}/versions/{version}/ready",
            UriKind.Relative));
        return (int)answer.StatusCode;
    }
}
