using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Sluice.ControlPlane.Manifests;
using Sluice.Gateway.Startup;
using Sluice.Storage.Catalog;
using Sluice.Storage.Jobs;
using Sluice.Storage.Redis;
using Sluice.Testing;

namespace Sluice.Gateway.Tests.Api;

/// <summary>Conditional changes, changes of parts, revisions, and manifests through the API.</summary>
public sealed class DeclarationsApiTest(RedisFixture redis) : IClassFixture<RedisFixture>, IAsyncLifetime
{
    private const string Endpoint = "/api/v1/endpoints/e";
    private const string All = "/api/v1/declarations";

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-declarations-").FullName;
    private GatewaySettings settings = new() { Urls = "http://127.0.0.1:0", StandbyWorkers = 0 };
    private DataFolder data = null!;
    private WebApplication app = null!;
    private HttpClient client = null!;

    public async ValueTask InitializeAsync()
    {
        await redis.Store.Database.ExecuteAsync("FLUSHALL");
        data = new DataFolder(folder);
        settings = settings with { Secrets = folder };
        app = GatewayHost.Build(settings, data, new RedisStore(await redis.ConnectAsync()),
            new PayloadShare(redis.Store, Path.Combine(folder, "payloads")));
        await app.StartAsync();
        var key = (await StartupBanner.FirstKeyAsync(app.Services, settings, TimeProvider.System))!;
        client = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        await SendAsync("PUT", "/api/v1/templates/t", new { command = new[] { "sleep", "1000" } });
        await SendAsync("PUT", Endpoint, new { template = "t", scaling = new { max = 2 } });
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
    public async Task While_Redis_has_lost_the_declarations_an_endpoint_is_unavailable_and_not_unknown()
    {
        Assert.Equal(HttpStatusCode.NotFound, await HealthAsync("other"));
        await redis.Store.Database.ExecuteAsync("EVAL",
            "for _, k in ipairs(redis.call('KEYS', '*catalog*')) do redis.call('DEL', k) end return 0", 0);
        await Eventually.HoldsAsync(
            async () => await HealthAsync("e") == HttpStatusCode.ServiceUnavailable, "the endpoint is unavailable");
        using var refused = await client.GetAsync(new Uri("/v2/e/health", UriKind.Relative));
        Assert.Contains("Redis has lost the declarations", await refused.Content.ReadAsStringAsync(),
            StringComparison.Ordinal);
        Assert.NotNull(refused.Headers.RetryAfter);

        await SendAsync("PUT", "/api/v1/templates/t", new { command = new[] { "sleep", "1000" } });
        await SendAsync("PUT", Endpoint, new { template = "t" });
        Assert.Equal(HttpStatusCode.OK, await HealthAsync("e"));
        Assert.Equal(HttpStatusCode.NotFound, await HealthAsync("other"));
    }

    [Fact]
    public async Task A_patch_changes_the_given_fields_and_null_gives_a_field_its_default()
    {
        var (status, changed, _) = await SendAsync("PATCH", Endpoint,
            """{"scaling":{"idleTimeout":"7s"},"env":{"A":"1","B":"2"}}""");
        Assert.Equal((HttpStatusCode.OK, 2, "7s"),
            (status, (int)changed["scaling"]!["max"]!, (string?)changed["scaling"]!["idleTimeout"]));
        (_, changed, _) = await SendAsync("PATCH", Endpoint, """{"scaling":{"max":null},"env":{"A":null}}""");
        Assert.Equal((3, "7s", """{"B":"2"}"""), ((int)changed["scaling"]!["max"]!,
            (string?)changed["scaling"]!["idleTimeout"], changed["env"]!.ToJsonString()));
    }

    [Theory]
    [InlineData("""{"scaling":{"max":-1}}""", "scaling.max is -1")]
    [InlineData("""{"id":"other"}""", "\\u0022e\\u0022, as in the path")]
    [InlineData("""{"sclaing":{}}""", "did you mean scaling?")]
    [InlineData("[]", "not a JSON object")]
    public async Task A_wrong_patch_is_refused_with_its_field_and_changes_nothing(string patch, string error)
    {
        var (_, before, _) = await SendAsync("GET", Endpoint);
        var (status, refusal, _) = await SendAsync("PATCH", Endpoint, patch);
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains(error, refusal.ToJsonString(), StringComparison.Ordinal);
        Assert.True(JsonNode.DeepEquals(before, (await SendAsync("GET", Endpoint)).Body));
    }

    [Fact]
    public async Task A_change_with_an_old_tag_is_refused()
    {
        var (_, _, first) = await SendAsync("GET", Endpoint);
        var (_, _, second) = await SendAsync("PATCH", Endpoint, new { scaling = new { max = 3 } }, ifMatch: first);
        Assert.NotEqual(first, second);
        foreach (var (method, body) in new (string, object?)[]
            {
                ("PATCH", new { scaling = new { max = 4 } }), ("PUT", new { template = "t" }), ("DELETE", null),
            })
            Assert.Equal((method, HttpStatusCode.PreconditionFailed),
                (method, (await SendAsync(method, Endpoint, body, ifMatch: first)).Status));
        Assert.Equal(3, (int)(await SendAsync("GET", Endpoint)).Body["scaling"]!["max"]!);
        Assert.Equal(HttpStatusCode.PreconditionFailed,
            (await SendAsync("PUT", "/api/v1/endpoints/new", new { template = "t" }, ifMatch: "*")).Status);
        Assert.Equal(HttpStatusCode.PreconditionFailed,
            (await SendAsync("PUT", Endpoint, new { template = "t" }, ifNoneMatch: "*")).Status);
        Assert.Equal(HttpStatusCode.NoContent, (await SendAsync("DELETE", Endpoint, ifMatch: second)).Status);
    }

    [Fact]
    public async Task Concurrent_patches_of_different_fields_are_all_stored()
    {
        await Task.WhenAll(Enumerable.Range(0, 4).Select(n =>
            SendAsync("PATCH", Endpoint, $$$"""{"env":{"V{{{n}}}":"1"}}""")));
        var (_, endpoint, _) = await SendAsync("GET", Endpoint);
        Assert.Equal(["V0", "V1", "V2", "V3"], endpoint["env"]!.AsObject().Select(e => e.Key).Order());
    }

    [Fact]
    public async Task A_named_revision_is_declared_again()
    {
        await SendAsync("PATCH", Endpoint, new { scaling = new { max = 3 } });
        await SendAsync("PATCH", Endpoint, new { scaling = new { max = 3 } });
        var (_, list, _) = await SendAsync("GET", Endpoint + "/revisions");
        var revisions = list["revisions"]!.AsArray();
        Assert.Equal([3, 2], revisions.Select(r => (int)r!["declaration"]!["scaling"]!["max"]!));
        Assert.All(revisions, r => Assert.NotEmpty((string)r!["by"]!));

        var (status, back, _) = await SendAsync("POST", Endpoint + "/rollback",
            new { revision = (string)revisions[1]!["id"]! });
        Assert.Equal((HttpStatusCode.OK, 2), (status, (int)back["scaling"]!["max"]!));
        (_, list, _) = await SendAsync("GET", Endpoint + "/revisions");
        Assert.Equal([2, 3, 2],
            list["revisions"]!.AsArray().Select(r => (int)r!["declaration"]!["scaling"]!["max"]!));
        (status, var refusal, _) = await SendAsync("POST", Endpoint + "/rollback", new { revision = "17" });
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains("revision is 17; expected one of", (string)refusal["detail"]!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_manifest_is_applied_whole_and_its_dry_run_reports_every_error()
    {
        const string manifest = """
            templates:
              - { name: t, command: [sleep, "1000"] }
              - { name: u, command: [sleep, "${SECONDS}"] }
            endpoints:
              - id: e
                template: t
                scaling:
                  max: ${MAX:-5}
              - { id: f, template: u }
            """;
        var (status, refusal, _) = await SendAsync("POST", All + "?dryRun=true",
            new { manifest = manifest.Replace("id: f, template: u", "id: F, template: v", StringComparison.Ordinal) });
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Equal([("templates[1].command[1]", 3), ("endpoints[1].id", 9), ("endpoints[1].template", 9)],
            refusal["errors"]!.AsArray().Select(e => ((string)e!["field"]!, (int)e["line"]!)));

        var request = new { manifest, variables = new Dictionary<string, string> { ["SECONDS"] = "2000" } };
        (status, var planned, _) = await SendAsync("POST", All + "?dryRun=true", request);
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(["create /api/v1/templates/u", "change /api/v1/endpoints/e", "create /api/v1/endpoints/f"],
            planned["changes"]!.AsArray().Select(c => $"{c!["action"]} {c["target"]}"));
        Assert.Equal("""{"scaling":{"max":5}}""", planned["changes"]![1]!["after"]!.ToJsonString());
        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync("GET", "/api/v1/endpoints/f")).Status);

        (_, var applied, _) = await SendAsync("POST", All, request);
        Assert.Equal((false, 1), ((bool)applied["dryRun"]!, (int)applied["unchanged"]!));
        Assert.Equal(HttpStatusCode.OK, (await SendAsync("GET", "/api/v1/endpoints/f")).Status);
        (_, applied, _) = await SendAsync("POST", All, request);
        Assert.Equal((4, 0), ((int)applied["unchanged"]!, applied["changes"]!.AsArray().Count));
    }

    [Fact]
    public async Task An_exported_manifest_declares_the_same()
    {
        await SendAsync("PATCH", Endpoint, """
            {"env":{"A":"${HOME} $x","B":"true","C":"7","D":"${secret:token}","E":"a: b # \"c\"\n",
             "F":"a$${secret:x}","G":"007"}}
            """);
        var exported = await client.GetStringAsync(All);
        Assert.Contains("${secret:token}", exported, StringComparison.Ordinal);
        using var content = new StringContent(exported, Encoding.UTF8, "application/yaml");
        using var response = await client.PostAsync(All + "?dryRun=true", content);
        var plan = (await response.Content.ReadFromJsonAsync<JsonObject>())!;
        Assert.Equal("""{"dryRun":true,"unchanged":2,"changes":[]}""", plan.ToJsonString());
    }

    [Fact]
    public async Task What_the_manifest_file_declares_is_not_changed_by_an_applied_one()
    {
        var store = app.Services.GetRequiredService<CatalogStore>();
        var (file, _) = Manifest.Parse("""
            templates: [{ name: m, command: [sleep, "1"] }]
            endpoints: [{ id: owned, template: m }]
            """);
        await store.ReplaceManifestAsync(file!, default);
        var same = await SendAsync("POST", All, """{"endpoints":[{"id":"owned","template":"m"}]}""");
        Assert.Equal((HttpStatusCode.OK, 1), (same.Status, (int)same.Body["unchanged"]!));
        var (status, refusal, _) = await SendAsync("POST", All,
            """{"endpoints":[{"id":"owned","template":"t"},{"id":"e","template":"m"}]}""");
        Assert.Equal(HttpStatusCode.Conflict, status);
        Assert.Contains("/api/v1/endpoints/owned", (string)refusal["detail"]!, StringComparison.Ordinal);
        Assert.Equal("t", (string?)(await SendAsync("GET", Endpoint)).Body["template"]);
    }

    [Fact]
    public async Task A_worker_gets_its_secret_and_the_api_returns_the_reference()
    {
        await File.WriteAllTextAsync(Path.Combine(folder, "token"), "s3cret\n");
        var seen = Path.Combine(folder, "seen");
        await DeclareAsync("s", $"echo \"$TOKEN\" > {seen}.part; mv {seen}.part {seen}; exec sleep 1000", "token");
        await Eventually.HoldsAsync(() => File.Exists(seen), "the worker has started");
        Assert.Equal("Bearer s3cret\n", await File.ReadAllTextAsync(seen));
        var (_, template, _) = await SendAsync("GET", "/api/v1/templates/s");
        Assert.Equal("Bearer ${secret:token}", (string?)template["env"]!["TOKEN"]);

        await DeclareAsync("missing", "exec sleep 1000", "none");
        await Eventually.HoldsAsync(async () =>
            (await SendAsync("GET", "/api/v1/endpoints/missing/workers")).Body.ToJsonString()
                .Contains("SLUICE_SECRET_NONE", StringComparison.Ordinal), "the reason names the secret");
        await SendAsync("DELETE", "/api/v1/endpoints/s");
        await SendAsync("DELETE", "/api/v1/endpoints/missing");
    }

    private async Task DeclareAsync(string name, string script, string secret)
    {
        var template = new JsonObject
        {
            ["command"] = new JsonArray("sh", "-c", script),
            ["env"] = new JsonObject { ["TOKEN"] = $"Bearer ${{secret:{secret}}}" },
        };
        await SendAsync("PUT", "/api/v1/templates/" + name, template.ToJsonString());
        await SendAsync("PUT", "/api/v1/endpoints/" + name, new { template = name, scaling = new { min = 1 } });
    }

    private async Task<(HttpStatusCode Status, JsonObject Body, string Tag)> SendAsync(
        string method, string path, object? body = null, string? ifMatch = null, string? ifNoneMatch = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (body is string text) request.Content = new StringContent(text, Encoding.UTF8, "application/json");
        else if (body is not null) request.Content = JsonContent.Create(body);
        if (ifMatch is not null) request.Headers.TryAddWithoutValidation("If-Match", ifMatch);
        if (ifNoneMatch is not null) request.Headers.TryAddWithoutValidation("If-None-Match", ifNoneMatch);
        using var response = await client.SendAsync(request);
        var json = await response.Content.ReadAsStringAsync();
        return (response.StatusCode, json.Length == 0 ? [] : JsonNode.Parse(json)!.AsObject(),
            response.Headers.ETag?.ToString() ?? "");
    }

    private async Task<HttpStatusCode> HealthAsync(string endpoint)
    {
        using var answer = await client.GetAsync(new Uri($"/v2/{endpoint}/health", UriKind.Relative));
        return answer.StatusCode;
    }
}
