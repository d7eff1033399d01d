using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Sluice.Gateway.Http;

namespace Sluice.Gateway.Tests.Api;

/// <summary>Tests that each protocol's clients get errors in the form of the protocol.</summary>
public sealed class ErrorFormTest
{
    private const string OpenAi = """{"error":{"message":"no endpoint serves 'x'","type":"invalid_"""
        + """request_error","param":null,"code":"not_found"}}""";
    private const string OpenInference = """{"error":"no endpoint serves 'x'"}""";

    [Theory]
    [InlineData("/v2", OpenInference)]
    [InlineData("/v2/models/x/infer", OpenInference)]
    [InlineData("/v2/models", OpenInference)]
    [InlineData("/v2/health/ready", OpenInference)]
    [InlineData("/v2/repository/index", OpenInference)]
    [InlineData("/v2/logging", OpenInference)]
    [InlineData("/e/x/v2/models/x/infer", OpenInference)]
    [InlineData("/v1/chat/completions", OpenAi)]
    [InlineData("/e/x/v1/chat/completions", OpenAi)]
    [InlineData("/v2/x/run", null)]
    [InlineData("/v2/modelsx/run", null)]
    [InlineData("/v2/x/status/models", null)]
    [InlineData("/e/x/other", null)]
    [InlineData("/e/x", null)]
    [InlineData("/v1x", null)]
    [InlineData("/api/v1/keys", null)]
    [InlineData("/", null)]
    public async Task The_path_determines_the_error_form(string path, string? body)
    {
        var context = new DefaultHttpContext { Request = { Path = path }, Response = { Body = new MemoryStream() } };
        await Problem.WriteAsync(context, 404, "no endpoint serves 'x'");
        var text = Encoding.UTF8.GetString(((MemoryStream)context.Response.Body).ToArray());
        Assert.Equal(body is null ? "application/problem+json" : "application/json", context.Response.ContentType);
        Assert.Equal(text.Length, context.Response.ContentLength);
        if (body is not null)
        {
            Assert.Equal(body, text);
            return;
        }

        var problem = JsonNode.Parse(text)!;
        Assert.Equal(("no endpoint serves 'x'", 404), ((string?)problem["error"], (int)problem["status"]!));
    }

    [Theory]
    [InlineData(400, "invalid_request_error", null)]
    [InlineData(401, "invalid_request_error", "invalid_api_key")]
    [InlineData(429, "rate_limit_error", "rate_limit_exceeded")]
    [InlineData(503, "server_error", null)]
    public async Task An_OpenAI_error_has_a_type_and_a_code(int status, string type, string? code)
    {
        var context = new DefaultHttpContext
        {
            Request = { Path = "/v1/models" },
            Response = { Body = new MemoryStream() },
        };
        await Problem.WriteAsync(context, status, "text");
        var error = JsonNode.Parse(((MemoryStream)context.Response.Body).ToArray())!["error"]!;
        Assert.Equal((type, code), ((string?)error["type"], (string?)error["code"]));
    }
}
