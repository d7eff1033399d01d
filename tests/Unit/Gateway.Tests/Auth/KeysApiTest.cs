using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Gateway.Startup;
using Sluice.Storage.Jobs;
using Sluice.Storage.Keys;
using Sluice.Storage.Redis;
using Sluice.Testing;

namespace Sluice.Gateway.Tests.Auth;

/// <summary>Tests the management of keys at a gateway whose admin keys are stored.</summary>
public sealed class KeysApiTest(RedisFixture redis) : IClassFixture<RedisFixture>, IAsyncLifetime
{
    private static readonly string[] Everything = ["*"];

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-keys-").FullName;
    private readonly GatewaySettings settings = new() { Urls = "http://127.0.0.1:0", StandbyWorkers = 0 };
    private readonly ManualTime time = new(new DateTimeOffset(2026, 11, 30, 0, 0, 0, TimeSpan.Zero));
    private DataFolder data = null!;
    private WebApplication app = null!;
    private HttpClient admin = null!;

    public async ValueTask InitializeAsync()
    {
        await redis.Store.Database.ExecuteAsync("FLUSHALL");
        data = new DataFolder(folder);
        app = GatewayHost.Build(settings, data, new RedisStore(await redis.ConnectAsync()),
            new PayloadShare(redis.Store, Path.Combine(folder, "payloads")));
        await app.StartAsync();
        admin = Client((await StartupBanner.FirstKeyAsync(app.Services, settings, time))!);
    }

    public async ValueTask DisposeAsync()
    {
        admin.Dispose();
        await app.StopAsync();
        await app.DisposeAsync();
        data.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task A_key_with_the_scope_read_reads_everything_but_secrets_and_changes_nothing()
    {
        await DeclareAsync();
        using var reader = Client((await CreateAsync(new { read = true })).Text);

        foreach (var path in new[]
            {
                "endpoints", "endpoints/e", "endpoints/e/workers", "endpoints/e/decisions", "endpoints/e/webhooks",
                "templates", "keys", "hosts", "gpus", "manifest", "pods", "admin/check", "key",
            })
            Assert.Equal((path, HttpStatusCode.OK), (path, await StatusAsync(reader, "GET", "/api/v1/" + path)));
        foreach (var path in new[] { "/metrics", "/metrics/workers", "/v2/e/health", "/v2/e/requests" })
            Assert.Equal((path, HttpStatusCode.OK), (path, await StatusAsync(reader, "GET", path)));
        foreach (var (method, path) in new[]
            {
                ("GET", "/api/v1/endpoints/e/webhook-secret"), ("POST", "/api/v1/keys"), ("POST", "/api/v1/endpoints"),
                ("PUT", "/api/v1/endpoints/e"), ("DELETE", "/api/v1/endpoints/e"), ("PATCH", "/api/v1/keys/a"),
                ("DELETE", "/api/v1/keys/a"), ("POST", "/v2/e/run"), ("POST", "/v2/e/purge-queue"),
                ("POST", "/v2/e/cancel/a"), ("POST", "/e/e/x"),
            })
            Assert.Equal((method, path, HttpStatusCode.Forbidden),
                (method, path, await StatusAsync(reader, method, path, new { })));
    }

    [Fact]
    public async Task A_key_with_the_scope_read_reads_the_jobs_of_others_and_may_not_cancel_them()
    {
        await DeclareAsync();
        using var reader = Client((await CreateAsync(new { read = true, invoke = Everything })).Text);
        using var other = Client((await CreateAsync(new { invoke = Everything })).Text);
        using var submitted = await admin.PostAsJsonAsync("/v2/e/run", new { input = new { a = 1 } });
        var id = (string)(await submitted.Content.ReadFromJsonAsync<JsonObject>())!["id"]!;

        Assert.Equal(HttpStatusCode.OK, await StatusAsync(reader, "GET", "/v2/e/status/" + id));
        var listed = await reader.GetFromJsonAsync<JsonObject>("/v2/e/requests");
        Assert.Contains(id, listed!.ToJsonString(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(other, "GET", "/v2/e/status/" + id));
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(reader, "POST", "/v2/e/cancel/" + id));
        using var purged = await reader.PostAsync(new Uri("/v2/e/purge-queue", UriKind.Relative), null);
        Assert.Equal(0, (int)(await purged.Content.ReadFromJsonAsync<JsonObject>())!["removed"]!);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(admin, "POST", "/v2/e/cancel/" + id));
    }

    [Fact]
    public async Task A_key_with_the_scope_metrics_reads_only_metrics_and_itself()
    {
        using var scraper = Client((await CreateAsync(new { metrics = true })).Text);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(scraper, "GET", "/metrics"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(scraper, "GET", "/metrics/workers"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(scraper, "GET", "/api/v1/key"));
        Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(scraper, "GET", "/api/v1/keys"));
        Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(scraper, "GET", "/api/v1/endpoints"));
    }

    [Fact]
    public async Task The_last_admin_key_is_not_deleted()
    {
        var first = (string)(await admin.GetFromJsonAsync<JsonObject>("/api/v1/key"))!["id"]!;
        // Neither another scope nor an expired admin key can manage the gateway.
        await CreateAsync(new { read = true, invoke = Everything });
        using var refused = await admin.DeleteAsync(new Uri("/api/v1/keys/" + first, UriKind.Relative));
        Assert.Equal(HttpStatusCode.Conflict, refused.StatusCode);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(admin, "GET", "/api/v1/keys"));

        var second = await CreateAsync(new { admin = true });
        using var heir = Client(second.Text);
        Assert.Equal(HttpStatusCode.NoContent, await StatusAsync(heir, "DELETE", "/api/v1/keys/" + first));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(admin, "GET", "/api/v1/keys"));
        Assert.Equal(HttpStatusCode.Conflict, await StatusAsync(heir, "DELETE", "/api/v1/keys/" + second.Id));
        // Two gateways delete one of two keys at the same time: Redis decides, not what each gateway has read.
        var store = app.Services.GetRequiredService<KeyStore>();
        Assert.Equal(KeyWrite.LastKey, await store.RevokeAsync(second.Id, default, [first]));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(heir, "GET", "/api/v1/keys"));
    }

    [Fact]
    public async Task A_key_reads_itself_and_what_its_limits_allow_now()
    {
        await DeclareAsync();
        var made = await CreateAsync(new
        {
            name = "ann", invoke = Everything, requestsPerMinute = 60, burst = 10, tokensPerMinute = 5000,
            concurrent = 3, tags = new { team = "vision" }, expiresAt = "2099-01-01T00:00:00Z",
        });
        using var client = Client(made.Text);

        var before = (await client.GetFromJsonAsync<JsonObject>("/api/v1/key"))!;
        Assert.Equal((made.Id, "ann", "vision"),
            ((string?)before["id"], (string?)before["name"], (string?)before["tags"]!["team"]));
        Assert.Equal("2099-01-01T00:00:00+00:00", (string?)before["expiresAt"]);
        Assert.Equal((10, 5000, 3), ((int)before["remaining"]!["requests"]!["left"]!,
            (int)before["remaining"]!["tokens"]!["left"]!, (int)before["remaining"]!["concurrent"]!));
        for (var i = 0; i < 3; i++) await StatusAsync(client, "GET", "/v2/e/health");
        var after = (await client.GetFromJsonAsync<JsonObject>("/api/v1/key"))!["remaining"]!["requests"]!;
        // A request per second returns.
        Assert.InRange((int)after["left"]!, 7, 9);
        Assert.InRange((int)after["wholeInMs"]!, 1, 3000);
        Assert.DoesNotContain(made.Text, before.ToJsonString(), StringComparison.Ordinal);

        var unlimited = (await admin.GetFromJsonAsync<JsonObject>("/api/v1/key"))!["remaining"]!;
        Assert.Null(unlimited["requests"]);
        Assert.Null(unlimited["tokens"]);
    }

    [Fact]
    public async Task A_change_keeps_what_it_does_not_name()
    {
        var made = await CreateAsync(new { name = "ann", invoke = Everything, burst = 5, tags = new { team = "a" } });
        using var changed = await admin.PatchAsJsonAsync("/api/v1/keys/" + made.Id,
            new { requestsPerMinute = 120, tags = new { team = "b", owner = "Ann B." } });
        var record = (await changed.Content.ReadFromJsonAsync<JsonObject>())!;
        Assert.Equal(("ann", "b", "Ann B."), ((string?)record["name"], (string?)record["tags"]!["team"],
            (string?)record["tags"]!["owner"]));
        Assert.Equal((120, 5), ((int)record["limits"]!["requestsPerMinute"]!, (int)record["limits"]!["burst"]!));
        using var cleared = await admin.PatchAsJsonAsync("/api/v1/keys/" + made.Id,
            new { burst = (int?)null, read = true });
        record = (await cleared.Content.ReadFromJsonAsync<JsonObject>())!;
        Assert.Equal((0, true), ((int)record["limits"]!["burst"]!, (bool)record["scope"]!["read"]!));
        // The text of the key is the same, and it has its new scope.
        using var client = Client(made.Text);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(client, "GET", "/api/v1/endpoints"));
        Assert.Equal(
            HttpStatusCode.NotFound, await StatusAsync(admin, "PATCH", "/api/v1/keys/none", new { burst = 1 }));
    }

    [Fact]
    public async Task Concurrent_changes_of_one_key_lose_no_field()
    {
        string[] fields = ["requestsPerMinute", "burst", "tokensPerMinute", "concurrent", "queued", "jobBytes"];
        var made = await CreateAsync(new { invoke = Everything });
        for (var round = 1; round <= 10; round++)
        {
            var value = round;
            var statuses = await Task.WhenAll(fields.Select(f => StatusAsync(
                admin, "PATCH", "/api/v1/keys/" + made.Id, new Dictionary<string, int> { [f] = value })));
            Assert.All(statuses, s => Assert.Equal(HttpStatusCode.OK, s));
            var key = (await admin.GetFromJsonAsync<JsonObject>("/api/v1/keys/" + made.Id))!;
            Assert.All(fields, f => Assert.Equal((f, value), (f, (int)key["limits"]![f]!)));
        }
    }

    [Theory]
    [InlineData("""{"tags":{"Team":"a"}}""", "tags is Team; expected a name")]
    [InlineData("""{"tags":{"team":"<script>"}}""", "tags.team is")]
    [InlineData("""{"tags":{"team":1}}""", "tags.team is 1")]
    [InlineData("""{"tags":["team"]}""", "tags is")]
    [InlineData("""{"admin":true}""", "admin is true; expected false")]
    [InlineData("""{"read":1}""", "read is 1; expected true or false")]
    [InlineData("""{"read":false,"invoke":[]}""", "expected endpoint ids")]
    [InlineData("""{"expiresAt":"2020-01-01T00:00:00Z"}""", "expected a time in the future")]
    [InlineData("""{"scopes":["admin"]}""", "expected a known field")]
    public async Task The_error_of_a_field_names_it(string body, string expected)
    {
        var made = await CreateAsync(new { invoke = Everything });
        using var content = new StringContent(body);
        using var answer = await admin.PatchAsync(new Uri("/api/v1/keys/" + made.Id, UriKind.Relative), content);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        var detail = (string)(await answer.Content.ReadFromJsonAsync<JsonObject>())!["detail"]!;
        Assert.Contains(expected, detail, StringComparison.Ordinal);
    }

    private async Task DeclareAsync()
    {
        var template = new { name = "t", protocol = "http1", command = new[] { "/bin/false" } };
        var endpoint = new { id = "e", template = "t", scaling = new { max = 0 } };
        Assert.Equal(HttpStatusCode.Created, await StatusAsync(admin, "PUT", "/api/v1/templates/t", template));
        Assert.Equal(HttpStatusCode.Created, await StatusAsync(admin, "PUT", "/api/v1/endpoints/e", endpoint));
    }

    private async Task<(string Id, string Text)> CreateAsync(object fields)
    {
        using var answer = await admin.PostAsJsonAsync("/api/v1/keys", fields);
        Assert.True(answer.StatusCode == HttpStatusCode.Created, await answer.Content.ReadAsStringAsync());
        var made = (await answer.Content.ReadFromJsonAsync<JsonObject>())!;
        return ((string)made["record"]!["id"]!, (string)made["key"]!);
    }

    private static async Task<HttpStatusCode> StatusAsync(
        HttpClient client, string method, string path, object? body = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (body is not null) request.Content = JsonContent.Create(body);
        using var answer = await client.SendAsync(request);
        return answer.StatusCode;
    }

    private HttpClient Client(string key)
    {
        var client = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
        client.DefaultRequestHeaders.Add("Authorization", "Bearer " + key);
        return client;
    }
}
