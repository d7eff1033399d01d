using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>
/// Tests the OpenAI API of the gateway with OpenAI's own client, a key that may use two of three endpoints, and workers
/// that start from zero.
/// </summary>
[Trait("Needs", "publish")]
public sealed class OpenAiApiTest
{
    [Fact]
    public async Task The_official_client_works_with_the_gateway()
    {
        Require.Program("node", "nodejs and npm, which fetch openai");
        var client = Path.Combine(Repository.Root, "tests", "Unit", "Worker.Tests", "openai");
        Assert.True(Directory.Exists(Path.Combine(client, "node_modules", "openai")),
            "npm ci has not run: make test runs it");
        await using var gateway = await InProcessGateway.StartAsync(
            Manifests.With(Manifests.Endpoint("digits"), Manifests.Endpoint("story"), Manifests.Endpoint("embed")),
            InProcessGateway.WithWorker());
        using var created = await gateway.Client.PostAsJsonAsync("/api/v1/keys",
            new { name = "test", invoke = new[] { "story", "embed" } });
        var key = (string)(await created.Content.ReadFromJsonAsync<JsonObject>())!["key"]!;
        await using var node = new ChildProcess("/usr/bin/env",
            ["node", Path.Combine(client, "gateway.mjs"), new Uri(gateway.Url, "/v1").ToString(), key, gateway.Key],
            new Dictionary<string, string?>());
        var seen = JsonNode.Parse(await node.LineAsync("{\"models\""))!;

        Assert.Equal(["embed", "story"], seen["models"]!["data"]!.AsArray().Select(m => (string?)m!["id"]));
        Assert.Equal(("story", "model"), ((string?)seen["model"]!["id"], (string?)seen["model"]!["object"]));
        var answer = seen["chat"]!["choices"]![0]!;
        Assert.NotEmpty((string)answer["message"]!["content"]!);
        Assert.Equal("stop", (string?)answer["finish_reason"]);
        var text = (string)seen["whole"]!["choices"]![0]!["text"]!;
        Assert.NotEmpty(text);
        Assert.Equal(text, string.Concat(seen["stream"]!.AsArray().Select(c => (string?)c!["choices"]![0]!["text"])));
        Assert.Equal(2, seen["embeddings"]!["data"]!.AsArray().Count);
        CheckErrors(seen["errors"]!);
    }

    [Fact]
    public async Task A_request_without_a_key_gets_401_before_its_body_is_read()
    {
        await using var gateway = await InProcessGateway.StartAsync(Manifests.With(Manifests.Endpoint("story")));
        using var socket = new TcpClient();
        await socket.ConnectAsync(gateway.Url.Host, gateway.Url.Port);
        await socket.GetStream().WriteAsync(
            "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"u8.ToArray());
        using var reader = new StreamReader(socket.GetStream());
        Assert.Equal("HTTP/1.1 401 Unauthorized", await reader.ReadLineAsync());
    }

    private static void CheckErrors(JsonNode errors)
    {
        Check("unknown", "NotFoundError", 404, "model_not_found", "Did you mean 'story'?");
        Check("retrieve", "NotFoundError", 404, "model_not_found", "'none'");
        Check("forbidden", "PermissionDeniedError", 403, null, "digits");
        Check("missing", "BadRequestError", 400, null, "'model' is missing");
        Check("key", "AuthenticationError", 401, "invalid_api_key", "");
        Check("worker", "BadRequestError", 400, null, "'temperature' is");

        void Check(string name, string kind, int status, string? code, string says)
        {
            var error = errors[name]!;
            Assert.Equal((kind, status, code), ((string?)error["kind"], (int)error["status"]!, (string?)error["code"]));
            Assert.Contains(says, (string?)error["message"], StringComparison.Ordinal);
        }
    }
}
