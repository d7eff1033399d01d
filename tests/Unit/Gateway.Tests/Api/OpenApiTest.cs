using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Routing;
using Sluice.Domain.Declarations;
using Sluice.Gateway.Audit;
using Sluice.Gateway.Logging;
using Sluice.Gateway.Management;
using Sluice.Gateway.ModelUploads;
using Sluice.Gateway.Overview;
using Sluice.Gateway.Startup;
using Sluice.Gateway.Usage;
using Sluice.Gateway.UserPods;
using Sluice.Storage.Jobs;
using Sluice.Storage.Redis;
using Sluice.Testing;
using Endpoint = Sluice.Domain.Declarations.Endpoint;

namespace Sluice.Gateway.Tests.Api;

/// <summary>The responses of the management and jobs API have the form that the OpenAPI document describes.</summary>
public sealed class OpenApiTest(RedisFixture redis) : IClassFixture<RedisFixture>, IAsyncLifetime
{
    private const string Key = "the-admin-key-of-this-test";

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-openapi-").FullName;
    private DataFolder data = null!;
    private WebApplication app = null!;
    private HttpClient client = null!;

    public async ValueTask InitializeAsync()
    {
        data = new DataFolder(folder);
        app = GatewayHost.Build(
            new GatewaySettings { Urls = "http://127.0.0.1:0", AdminKey = Key, StandbyWorkers = 0 },
            data,
            new RedisStore(await redis.ConnectAsync()),
            new PayloadShare(redis.Store, Path.Combine(folder, "payloads")));
        await app.StartAsync();
        client = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
        client.DefaultRequestHeaders.Add("Authorization", "Bearer " + Key);
    }

    public async ValueTask DisposeAsync()
    {
        client.Dispose();
        await app.StopAsync();
        await app.DisposeAsync();
        data.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Responses_have_the_form_that_the_document_describes()
    {
        var document = (await SendAsync("GET", "/openapi.json")).Node!;
        await CheckAsync("POST", "/api/v1/templates", "/api/v1/templates",
            """{"name":"t","protocol":"http1","command":["/bin/false"],"startTimeout":"1m30s"}""");
        await CheckAsync("POST", "/api/v1/endpoints", "/api/v1/endpoints",
            """{"id":"e","template":"t","scaling":{"max":1,"idleTimeout":"250ms","scaler":"QUEUE_DELAY"}}""");
        await CheckAsync("POST", "/api/v1/keys", "/api/v1/keys", """{"name":"k","invoke":["e"]}""");
        await CheckAsync("POST", "/api/v1/gpus/try", "/api/v1/gpus/try", """{"requests":[{"gpu":{"count":1}}]}""");
        foreach (var path in new[] { "templates", "endpoints", "keys", "hosts", "gpus", "gpus/catalogue", "manifest",
            "admin/check", "overview", "series" })
            await CheckAsync("GET", "/api/v1/" + path, "/api/v1/" + path);
        await CheckAsync("GET", "/api/v1/templates/t", "/api/v1/templates/{name}");
        foreach (var path in new[] { "", "/workers", "/decisions", "/webhooks", "/webhook-secret" })
            await CheckAsync("GET", "/api/v1/endpoints/e" + path, "/api/v1/endpoints/{id}" + path);
        foreach (var path in new[] { "/v2", "/v2/health/live", "/v2/models" })
            await CheckAsync("GET", path, path);
        await CheckAsync("POST", "/v2/repository/index", "/v2/repository/index");
        var job = (string)(await CheckAsync("POST", "/v2/e/run", "/v2/{endpoint}/run", """{"input":{}}"""))["id"]!;
        await CheckAsync("GET", $"/v2/e/status/{job}", "/v2/{endpoint}/status/{id}");
        await CheckAsync("GET", $"/v2/e/input/{job}", "/v2/{endpoint}/input/{id}");
        await CheckAsync("POST", $"/v2/e/cancel/{job}", "/v2/{endpoint}/cancel/{id}");
        await CheckAsync("GET", $"/v2/e/status/{job}", "/v2/{endpoint}/status/{id}");
        await CheckAsync("GET", $"/v2/e/stream/{job}", "/v2/{endpoint}/stream/{id}");
        await CheckAsync("GET", "/v2/e/requests?limit=1", "/v2/{endpoint}/requests");
        await CheckAsync("GET", "/v2/e/dead-letters", "/v2/{endpoint}/dead-letters");
        await CheckAsync("GET", "/v2/e/health", "/v2/{endpoint}/health");
        await CheckAsync("POST", "/v2/e/purge-queue", "/v2/{endpoint}/purge-queue");
        await CheckAsync("DELETE", "/v2/e/dead-letters", "/v2/{endpoint}/dead-letters");

        async Task<JsonNode> CheckAsync(string method, string path, string pattern, string? body = null)
        {
            var (status, node) = await SendAsync(method, path, body);
            Assert.True(status is 200 or 201, $"{method} {path}: {status} {node}");
            var schema = document["paths"]![pattern]![method.ToLowerInvariant()]!["responses"]![$"{status}"]?["content"]
                ?["application/json"]?["schema"];
            Assert.True(schema is not null, $"{method} {pattern} has no schema for {status}");
            Assert.Empty(Differences(document, schema, node, $"{method} {path}").Take(5));
            return node!;
        }
    }

    [Fact]
    public async Task The_document_describes_the_texts_of_declarations()
    {
        var schemas = (await SendAsync("GET", "/openapi.json")).Node!["components"]!["schemas"]!;
        Assert.Equal("""["h2c","http1"]""", schemas["WorkerProtocol"]!["enum"]!.ToJsonString());
        Assert.Equal("string", (string)schemas["Scaler"]!["type"]!);
        var duration = (string)schemas["Template"]!["properties"]!["startTimeout"]!["pattern"]!;
        var size = (string)schemas["JobPolicy"]!["properties"]!["maxBytes"]!["pattern"]!;
        Assert.Matches(duration, "1m30s");
        Assert.DoesNotMatch(duration, "00:01:30");
        Assert.Matches(size, "64MiB");
        Assert.True((bool)schemas["Endpoint"]!["properties"]!["origin"]!["readOnly"]!);
    }

    [Fact]
    public void Every_response_of_the_management_API_has_a_generated_serializer()
    {
        Type[] declarations = [typeof(Template), typeof(Endpoint), typeof(CatalogApi.TemplateList),
            typeof(CatalogApi.EndpointList), typeof(string), typeof(void)];
        var types = ((IEndpointRouteBuilder)app).DataSources.SelectMany(s => s.Endpoints).OfType<RouteEndpoint>()
            .Where(e => e.RoutePattern.RawText!.StartsWith("/api/", StringComparison.Ordinal))
            .SelectMany(e => e.Metadata.GetOrderedMetadata<IProducesResponseTypeMetadata>())
            .Select(m => m.Type).OfType<Type>().Distinct().Except(declarations).ToList();
        Assert.True(types.Count > 10);
        Assert.All(types, t => Assert.NotNull(
            ManagementJson.Default.GetTypeInfo(t) ?? UserPodApiJson.Default.GetTypeInfo(t)
                ?? ModelsJson.Default.GetTypeInfo(t) ?? AuditApiJson.Default.GetTypeInfo(t)
                ?? UsageApiJson.Default.GetTypeInfo(t)
                ?? OverviewJson.Default.GetTypeInfo(t) ?? LogLevelJson.Default.GetTypeInfo(t)));
    }

    private async Task<(int Status, JsonNode? Node)> SendAsync(string method, string path, string? body = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(path, UriKind.Relative));
        if (body is not null) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        using var answer = await client.SendAsync(request);
        return ((int)answer.StatusCode, JsonNode.Parse(await answer.Content.ReadAsStringAsync()));
    }

    /// <summary>
    /// The differences between a value and its schema, with the keywords of JSON Schema that the document uses.
    /// </summary>
    private static IEnumerable<string> Differences(JsonNode document, JsonNode schema, JsonNode? value, string path)
    {
        if ((string?)schema["$ref"] is { } reference)
            schema = document["components"]!["schemas"]![reference.Split('/')[^1]]!;
        if (schema["oneOf"] is JsonArray forms)
            return forms.Any(f => !Differences(document, f!, value, path).Any())
                ? [] : [$"{path}: no form fits {value}"];
        var type = value?.GetValueKind() switch
        {
            null => "null",
            System.Text.Json.JsonValueKind.True or System.Text.Json.JsonValueKind.False => "boolean",
            var kind => kind.ToString()!.ToLowerInvariant(),
        };
        string[] types = schema["type"] switch
        {
            null => [type],
            JsonArray several => [.. several.Select(t => (string)t!)],
            var one => [(string)one!],
        };
        if (!types.Contains(type) && !(type == "number" && types.Contains("integer")))
            return [$"{path} is a {type}: {value}; the schema has {string.Join(" or ", types)}"];
        return value switch
        {
            JsonObject given when schema["properties"] is JsonObject fields => given.SelectMany(f =>
                    fields[f.Key] is { } field
                        ? Differences(document, field, f.Value, $"{path}.{f.Key}")
                        : [$"{path}.{f.Key} is not in the schema"])
                .Concat((schema["required"] as JsonArray ?? []).Where(r => !given.ContainsKey((string)r!))
                    .Select(r => $"{path}.{r} is missing")),
            JsonArray items when schema["items"] is { } item =>
                items.SelectMany((v, i) => Differences(document, item, v, $"{path}[{i}]")),
            _ when schema["enum"] is JsonArray names && !names.Any(n => JsonNode.DeepEquals(n, value)) =>
                [$"{path} is {value}; the schema has {names.ToJsonString()}"],
            _ when type == "string" && (string?)schema["pattern"] is { } pattern
                && !Regex.IsMatch((string)value!, pattern) => [$"{path} is {value}; the schema has {pattern}"],
            _ => [],
        };
    }
}
