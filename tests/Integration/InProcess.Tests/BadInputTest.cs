using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests that every invalid request gets a 4xx response that describes the error.</summary>
[Trait("Needs", "publish")]
public sealed class BadInputTest(BadInputTest.Running running) : IClassFixture<BadInputTest.Running>
{
    private const string Infer = "/v2/models/digits/infer";

    public sealed class Running : IAsyncLifetime
    {
        public InProcessGateway Gateway { get; private set; } = null!;

        public string Scoped { get; private set; } = "";

        public string Revoked { get; private set; } = "";

        public async ValueTask InitializeAsync()
        {
            Gateway = await InProcessGateway.StartAsync(Manifests.With(
                Manifests.Endpoint("digits", more: "forwarding: { maxBodyBytes: 100000 }"),
                Manifests.Endpoint("story"),
                Manifests.Endpoint("embed", more: "public: true")), InProcessGateway.WithWorker());
            Scoped = await KeyAsync("story");
            Revoked = await KeyAsync("digits");
            var id = Revoked.Split('_')[1];
            using var gone = await Gateway.Client.DeleteAsync(new Uri($"/api/v1/keys/{id}", UriKind.Relative));
            Assert.Equal(HttpStatusCode.NoContent, gone.StatusCode);
        }

        public async ValueTask DisposeAsync() => await Gateway.DisposeAsync();

        private async Task<string> KeyAsync(string endpoint)
        {
            using var answer = await Gateway.Client.PostAsJsonAsync("/api/v1/keys",
                new { name = "test", invoke = new[] { endpoint } });
            Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
            return (string)(await answer.Content.ReadFromJsonAsync<JsonObject>())!["key"]!;
        }
    }

    public static TheoryData<string, string, int, string> Bodies => new()
    {
        { "broken JSON", "{\"inputs\":[", 400, "Expected depth to be zero at the end of the JSON payload" },
        { "not an object", "[]", 400, "object" },
        { "no inputs", "{}", 400, "inputs" },
        { "wrong input name", Input("img", "FP32", "[1,1,28,28]", 784), 400, "img" },
        { "wrong shape", Input("image", "FP32", "[1,1,27,28]", 756), 400, "[-1,1,28,28]" },
        { "wrong rank", Input("image", "FP32", "[784]", 784), 400, "[-1,1,28,28]" },
        { "wrong type", Input("image", "INT32", "[1,1,28,28]", 784), 400, "FP32" },
        { "unknown type", Input("image", "FP128", "[1,1,28,28]", 784), 400, "FP128" },
        { "too few values", Input("image", "FP32", "[1,1,28,28]", 783), 400, "784" },
        { "too many values", Input("image", "FP32", "[1,1,28,28]", 785), 400, "784" },
        {
            "text for a number",
            """{"inputs":[{"name":"image","datatype":"FP32","shape":[1,1,28,28],"data":["a"]}]}""", 400, "image"
        },
        { "oversize body", Input("image", "FP32", "[64,1,28,28]", 64 * 784), 413, "100000" },
        { "negative dimension", Input("image", "FP32", "[-1,1,28,28]", 784), 400, "shape" },
        { "huge shape", Input("image", "FP32", "[4000000000,1000000000,28,28]", 1), 400, "shape" },
    };

    [Theory]
    [MemberData(nameof(Bodies))]
    public async Task The_error_of_a_body_that_does_not_fit_the_model_contains_the_name(string what, string body,
        int status, string says)
    {
        using var answer = await running.Gateway.Client.PostAsync(Infer,
            new StringContent(body, Encoding.UTF8, "application/json"));
        await ExpectAsync(answer, what, status, says);
    }

    [Theory]
    [InlineData("binary without its length header", null, 3136, 400, "3136")]
    [InlineData("short binary", 1, 3000, 400, "3136")]
    [InlineData("missing binary", 1, 0, 400, "3136")]
    [InlineData("long binary", 1, 4000, 400, "additional input data")]
    public async Task The_error_of_binary_data_that_does_not_fit_contains_the_sizes(string what, int? withHeader,
        int bytes, int status, string says)
    {
        var head =
            """{"inputs":[{"name":"image","shape":[1,1,28,28],"datatype":"FP32","parameters":{"binary_data_size":3136}}]}"""u8.ToArray();
        using var content = new ByteArrayContent([.. head, .. new byte[bytes]]);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        if (withHeader is not null) content.Headers.Add("Inference-Header-Content-Length", $"{head.Length}");
        using var answer = await running.Gateway.Client.PostAsync(Infer, content);
        await ExpectAsync(answer, what, status, says);
    }

    [Theory]
    [InlineData("no key", null, "/v2/models/digits/infer", 401, "Authorization")]
    [InlineData("a wrong key", "slk_aaaaaaaaaa_0000000000000000000000000000000000000000000000000",
        "/v2/models/digits/infer", 401, "mistyped")]
    [InlineData("no key of ours", "hello", "/v2/models/digits/infer", 401, "mistyped")]
    [InlineData("a revoked key", "REVOKED", "/v2/models/digits/infer", 401, "revoked")]
    [InlineData("a key of another endpoint", "SCOPED", "/v2/models/digits/infer", 403, "digits")]
    [InlineData("a key of another endpoint, unknown model", "SCOPED", "/v2/models/nothing/infer", 403, "nothing")]
    [InlineData("no key, unknown model", null, "/v2/models/nothing/infer", 401, "Authorization")]
    [InlineData("unknown model", "ADMIN", "/v2/models/nothing/infer", 404, "nothing")]
    [InlineData("unknown endpoint", "ADMIN", "/e/nothing/x", 404, "nothing")]
    [InlineData("unknown version", "ADMIN", "/v2/models/digits/versions/7/infer", 404, "7")]
    [InlineData("no admin", "SCOPED", "/api/v1/keys", 403, "admin")]
    [InlineData("no such path", "ADMIN", "/api/v1/nothing", 404, "/api/v1/nothing")]
    [InlineData("wrong method", "ADMIN", "/v2/models/digits/ready", 405, "POST")]
    public async Task A_request_without_permission_is_rejected_without_further_information(string what, string? key,
        string path, int status, string says)
    {
        var text = key switch { "REVOKED" => running.Revoked, "SCOPED" => running.Scoped,
            "ADMIN" => running.Gateway.Key, _ => key };
        using var client = running.Gateway.ClientFor(text);
        using var answer = await client.PostAsync(path, new StringContent(InProcessGateway.Example("digits")));
        await ExpectAsync(answer, what, status, says);
        if (status == 401) Assert.Equal("Bearer", answer.Headers.WwwAuthenticate.Single().Scheme);
    }

    [Fact]
    public async Task A_response_that_is_sent_before_the_body_was_read_arrives_completely()
    {
        var body = new string('x', 90_000);
        var statuses = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(async () =>
        {
            var seen = new List<int>();
            for (var i = 0; i < 20; i++)
            {
                using var answer = await running.Gateway.Client.PostAsync("/v2/models/digits/versions/7/infer",
                    new StringContent(body));
                seen.Add((int)answer.StatusCode);
                Assert.Contains("version 7", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
            }

            return seen;
        })));
        Assert.All(statuses.SelectMany(s => s), s => Assert.Equal(404, s));
    }

    [Theory]
    [InlineData("""{"name":5,"invoke":["digits"]}""", "name")]
    [InlineData("""{"invoke":"digits"}""", "invoke")]
    [InlineData("""{"invoke":["Not An Id"]}""", "invoke[0]")]
    [InlineData("""{"invoke":["digits\n"]}""", "invoke[0]")]
    [InlineData("""{"invoke":["digitz"]}""", "did you mean digits?")]
    [InlineData("""{"invoke":["digits","nothing-like-it"]}""", "invoke[1]")]
    [InlineData("""{"invoke":["digits"],"allowUnknown":1}""", "allowUnknown")]
    [InlineData("""{"name":"x"}""", "invoke")]
    [InlineData("""{"admin":"yes"}""", "admin")]
    [InlineData("""{"admin":true,"expiresAt":"2001-01-01T00:00:00Z"}""", "expiresAt")]
    [InlineData("""{"admin":true,"name":"\ud800"}""", "surrogate")]
    [InlineData("""{"admin":true,"scope":1}""", "scope")]
    [InlineData("{", "JSON")]
    public async Task The_error_of_an_invalid_key_request_contains_the_field(string body, string says)
    {
        using var answer = await running.Gateway.Client.PostAsync("/api/v1/keys", new StringContent(body));
        await ExpectAsync(answer, body, 400, says);
    }

    [Fact]
    public async Task A_key_for_an_endpoint_that_is_declared_later_needs_allowUnknown()
    {
        using var answer = await running.Gateway.Client.PostAsync("/api/v1/keys",
            new StringContent("""{"invoke":["later"],"allowUnknown":true}"""));
        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
    }

    [Theory]
    [InlineData("""{"id":"Bad Id","template":"onnx-cpu"}""", "id")]
    [InlineData("""{"id":"newline\n","template":"onnx-cpu"}""", "id")]
    [InlineData("""{"id":"new","template":"onnx-cpu","cors":{"origins":["https://a.example.com/x"]}}""",
        "cors.origins[0]")]
    [InlineData("""{"id":"new","template":"onnx-cpu","cors":{"origins":["*"],"headers":["X: y"]}}""",
        "cors.headers[0]")]
    [InlineData("""{"id":"new","template":"onnx-cpu","cors":{"origins":["*"],"maxAge":"2d"}}""", "cors.maxAge")]
    [InlineData("""{"id":"new","template":"onnx-cpu","models":["a\n"]}""", "models")]
    [InlineData("""{"id":"new","template":"onnx-cpu","env":{"A\n":"1"}}""", "env")]
    [InlineData("""{"id":"new","template":"onnx-cpu","queue":{"timeout":"1s\n"}}""", "queue.timeout")]
    [InlineData("""{"id":"health","template":"onnx-cpu"}""", "reserved")]
    [InlineData("""{"id":"new","template":"nothing"}""", "template")]
    [InlineData("""{"id":"new","template":"onnx-cpu","scaling":{"min":5,"max":2}}""", "scaling.min")]
    [InlineData("""{"id":"new","template":"onnx-cpu","scaling":{"idleTimeout":"soon"}}""", "scaling.idleTimeout")]
    [InlineData("""{"id":"new","template":"onnx-cpu","scalling":{}}""", "did you mean scaling")]
    [InlineData("""{"id":"new","template":"onnx-cpu","models":["digits"]}""", "digits")]
    [InlineData("""{"template":"onnx-cpu"}""", "id")]
    [InlineData("""{"id":"\ud800","template":"onnx-cpu"}""", "")]
    [InlineData("""{"id":null,"template":"onnx-cpu"}""", "id is null")]
    [InlineData("""{"id":"new","template":null}""", "template is null")]
    [InlineData("""{"id":"new","template":"onnx-cpu","scaling":null}""", "scaling is null")]
    [InlineData("""{"id":"new","template":"onnx-cpu","models":[null]}""", "models[0] is null")]
    [InlineData("""{"id":"new","template":"onnx-cpu","models":null}""", "models is null")]
    [InlineData("""{"id":"new","template":"onnx-cpu","env":null}""", "env is null")]
    [InlineData("""{"id":"new","template":"onnx-cpu","env":{"A":null}}""", "env")]
    [InlineData("""[]""", "object")]
    [InlineData("", "JSON")]
    public async Task The_error_of_an_invalid_endpoint_contains_the_field(string body, string says)
    {
        using var answer = await running.Gateway.Client.PostAsync("/api/v1/endpoints", new StringContent(body));
        await ExpectAsync(answer, body, 400, says);
    }

    [Theory]
    [InlineData("/api/v1/keys", "FFFFFFFFFFFFFFFF1\r\nx")]
    [InlineData("/v2/models/digits/infer", "FFFFFFFFFFFFFFFF1\r\nx")]
    [InlineData("/api/v1/keys", "zz\r\n")]
    [InlineData("/v2/models/digits/infer", "zz\r\n")]
    public async Task Invalid_chunks_are_a_client_error(string path, string chunk)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, running.Gateway.Url.Port);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(
            $"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {running.Gateway.Key}\r\nTransfer-Encoding: "
            + $"chunked\r\n\r\n{chunk}"));
        using var reader = new StreamReader(stream, Encoding.ASCII);
        Assert.Equal("HTTP/1.1 400 Bad Request", await reader.ReadLineAsync());
    }

    [Fact]
    public async Task Declarations_of_the_manifest_cannot_be_changed_with_the_API()
    {
        using var put = await running.Gateway.Client.PutAsync("/api/v1/endpoints/story",
            new StringContent("""{"template":"onnx-cpu"}"""));
        await ExpectAsync(put, "put", 409, "manifest");
        using var gone = await running.Gateway.Client.DeleteAsync(new Uri("/api/v1/templates/onnx-cpu",
            UriKind.Relative));
        await ExpectAsync(gone, "delete", 409, "manifest");
    }

    [Fact]
    public async Task A_POST_never_replaces_a_PUT_reports_the_change_and_a_dry_run_changes_nothing()
    {
        const string path = "/api/v1/endpoints/posted";
        static StringContent Body(int max) =>
            new($$"""{"id":"posted","template":"onnx-cpu","scaling":{"max":{{max}} } }""");
        async Task<(HttpStatusCode, int)> NowAsync()
        {
            using var answer = await running.Gateway.Client.GetAsync(new Uri(path, UriKind.Relative));
            return (answer.StatusCode, answer.IsSuccessStatusCode
                ? (int)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["scaling"]!["max"]! : 0);
        }

        var client = running.Gateway.Client;
        using (var dry = await client.PutAsync(path + "?dryRun=true", Body(1)))
            Assert.Equal(HttpStatusCode.OK, dry.StatusCode);
        Assert.Equal((HttpStatusCode.NotFound, 0), await NowAsync());
        using (var wrong = await client.PutAsync(path + "?dryRun=yes", Body(1)))
            await ExpectAsync(wrong, "dryRun", 400, "dryRun is 'yes'; expected true or false");
        using (var made = await client.PutAsync(path, Body(1)))
            Assert.Equal((HttpStatusCode.Created, path), (made.StatusCode, $"{made.Headers.Location}"));
        using (var again = await client.PostAsync("/api/v1/endpoints", Body(2)))
            await ExpectAsync(again, "post", 409, $"already exists. Replace it with PUT {path}");
        Assert.Equal((HttpStatusCode.OK, 1), await NowAsync());
        using (var put = await client.PutAsync(path, Body(3))) Assert.Equal(HttpStatusCode.OK, put.StatusCode);
        using (var dry = await client.DeleteAsync(new Uri(path + "?dryRun=true", UriKind.Relative)))
            Assert.Equal(HttpStatusCode.NoContent, dry.StatusCode);
        Assert.Equal((HttpStatusCode.OK, 3), await NowAsync());
        using (var gone = await client.DeleteAsync(new Uri(path, UriKind.Relative)))
            Assert.Equal(HttpStatusCode.NoContent, gone.StatusCode);
    }

    [Fact]
    public async Task A_public_endpoint_accepts_requests_without_a_key()
    {
        using var client = running.Gateway.ClientFor(null);
        using var answer = await client.PostAsync("/e/embed/v1/embeddings",
            new StringContent(InProcessGateway.Example("embed")));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task A_key_is_never_read_from_the_query_and_never_returned()
    {
        using var client = running.Gateway.ClientFor(null);
        using var answer = await client.GetAsync(new Uri($"/api/v1/keys?api_key={running.Gateway.Key}",
            UriKind.Relative));
        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
        var secret = running.Gateway.Key.Split('_')[2];
        Assert.DoesNotContain(secret, await running.Gateway.Client.GetStringAsync(new Uri("/api/v1/keys",
            UriKind.Relative)), StringComparison.Ordinal);
        Assert.DoesNotContain(running.Scoped.Split('_')[2], running.Gateway.Log.Text, StringComparison.Ordinal);
    }

    private static async Task ExpectAsync(HttpResponseMessage answer, string what, int status, string says)
    {
        var body = await answer.Content.ReadAsStringAsync();
        Assert.True((int)answer.StatusCode == status, $"{what}: {(int)answer.StatusCode} {body}");
        var error = (string?)JsonNode.Parse(body)!["error"];
        Assert.Contains(says, error, StringComparison.Ordinal);
    }

    private static string Input(string name, string type, string shape, int values) =>
        $$"""{"inputs":[{"name":"{{name}}","datatype":"{{type}}","shape":{{shape}},"data":[{{string.Join(',', Enumerable.Repeat("0", values))}}]}]}""";
}
