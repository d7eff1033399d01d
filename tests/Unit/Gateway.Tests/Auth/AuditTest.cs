using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Sluice.Gateway.Startup;
using Sluice.Storage.Jobs;
using Sluice.Storage.Redis;
using Sluice.Testing;

namespace Sluice.Gateway.Tests.Auth;

/// <summary>Tests that the audit log has each change and each refused login, and no secret.</summary>
public sealed class AuditTest(RedisFixture redis) : IClassFixture<RedisFixture>, IAsyncLifetime
{
    private static readonly string[] Everything = ["*"];

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-audit-").FullName;
    private readonly ManualTime time = new(new DateTimeOffset(2026, 11, 30, 0, 0, 0, TimeSpan.Zero));
    private DataFolder data = null!;
    private WebApplication app = null!;
    private HttpClient admin = null!;
    private string adminKey = "";
    private string adminId = "";

    private string Manifest => Path.Combine(folder, "endpoints.yaml");

    public async ValueTask InitializeAsync()
    {
        await redis.Store.Database.ExecuteAsync("FLUSHALL");
        data = new DataFolder(folder);
        await File.WriteAllTextAsync(Manifest, "templates: []\nendpoints: []\n");
        var settings = new GatewaySettings { Urls = "http://127.0.0.1:0", StandbyWorkers = 0, Manifest = Manifest };
        app = GatewayHost.Build(settings, data, new RedisStore(await redis.ConnectAsync()),
            new PayloadShare(redis.Store, Path.Combine(folder, "payloads")));
        await app.StartAsync();
        adminKey = (await StartupBanner.FirstKeyAsync(app.Services, settings, time))!;
        adminId = adminKey.Split('_')[1];
        admin = Client(adminKey);
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
    public async Task Each_change_has_its_actor_and_only_the_fields_that_changed()
    {
        var template = new { name = "t", protocol = "http1", command = new[] { "/bin/false" } };
        await SendAsync(admin, "PUT", "/api/v1/templates/t", template);
        await SendAsync(admin, "PUT", "/api/v1/endpoints/e", new { template = "t", scaling = new { max = 0 } });
        await SendAsync(admin, "PUT", "/api/v1/endpoints/e",
            new { template = "t", scaling = new { max = 0, idleTimeout = "7s" } });
        var made = await SendAsync(admin, "POST", "/api/v1/keys", new { name = "ann", invoke = Everything });
        var key = "/api/v1/keys/" + (string)made!["record"]!["id"]!;
        await SendAsync(admin, "PATCH", key, new { burst = 5 });
        // This route makes the change, so the parameter does not hide it.
        await SendAsync(admin, "DELETE", key + "?dryRun=true");
        await SendAsync(admin, "POST", "/api/v1/endpoints/e/webhook-secret/rotate");
        await SendAsync(admin, "POST", "/v2/e/purge-queue");
        // Neither a refused change, nor a trial, nor a read is an entry.
        await SendAsync(admin, "DELETE", "/api/v1/templates/t", status: HttpStatusCode.Conflict);
        await SendAsync(admin, "DELETE", "/api/v1/endpoints/e?dryRun=true");
        await SendAsync(admin, "GET", "/api/v1/endpoints/e/webhook-secret");
        await SendAsync(admin, "DELETE", "/api/v1/endpoints/e");

        var entries = await ChangesAsync(9);

        Assert.All(entries, e => Assert.Equal((adminId, "first admin key", "127.0.0.1"),
            ((string?)e["actor"], (string?)e["actorName"], (string?)e["from"])));
        Assert.All(entries, e => Assert.NotEmpty((string)e["requestId"]!));
        Assert.Equal(
            [
                ("PUT /api/v1/templates/{name}", "/api/v1/templates/t"),
                ("PUT /api/v1/endpoints/{id}", "/api/v1/endpoints/e"),
                ("PUT /api/v1/endpoints/{id}", "/api/v1/endpoints/e"),
                ("POST /api/v1/keys", key), ("PATCH /api/v1/keys/{id}", key), ("DELETE /api/v1/keys/{id}", key),
                ("POST /api/v1/endpoints/{id}/webhook-secret/rotate", "/api/v1/endpoints/e/webhook-secret/rotate"),
                ("POST /v2/{endpoint}/purge-queue", "/v2/e/purge-queue"),
                ("DELETE /api/v1/endpoints/{id}", "/api/v1/endpoints/e"),
            ],
            entries.Select(e => ((string?)e["action"], (string?)e["target"])));
        Assert.Equal((true, "t"), (entries[0]["before"] is null, (string?)entries[0]["after"]!["name"]));
        Assert.Equal("""{"scaling":{"idleTimeout":"7s"}}""", entries[2]["after"]!.ToJsonString());
        Assert.Equal("""{"limits":{"burst":0}}""", entries[4]["before"]!.ToJsonString());
        Assert.Equal("""{"limits":{"burst":5}}""", entries[4]["after"]!.ToJsonString());
        Assert.Equal((("ann", 5), true), (((string?)entries[5]["before"]!["name"],
            (int)entries[5]["before"]!["limits"]!["burst"]!), entries[5]["after"] is null));
        var text = string.Concat(entries.Select(e => e.ToJsonString()));
        Assert.DoesNotContain((string)made["key"]!, text, StringComparison.Ordinal);
        Assert.DoesNotContain("hash", text, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("whsec", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_change_of_the_manifest_is_an_entry_for_each_declaration_that_changed()
    {
        const string Declared = """
            templates:
              - { name: t, protocol: http1, command: [/bin/false] }
            endpoints:
              - { id: a, template: t, scaling: { max: 0 } }
              - { id: b, template: t, scaling: { max: 0 } }

            """;
        await File.WriteAllTextAsync(Manifest, Declared);
        var entries = await ChangesAsync(3);
        Assert.All(entries, e => Assert.Equal(("manifest", Manifest), ((string?)e["actor"], (string?)e["actorName"])));
        await File.WriteAllTextAsync(Manifest, Declared.Replace("{ id: b, template: t, scaling: { max: 0 } }",
            "{ id: b, template: t, scaling: { max: 0 }, public: true }", StringComparison.Ordinal));
        var last = (await ChangesAsync(4))[^1];
        Assert.Equal("/api/v1/endpoints/b", (string?)last["target"]);
        Assert.Equal(("""{"public":false}""", """{"public":true}"""),
            (last["before"]!.ToJsonString(), last["after"]!.ToJsonString()));
    }

    [Fact]
    public async Task The_log_is_read_in_pages_and_filtered_and_exported_as_lines()
    {
        for (var i = 0; i < 5; i++) await SendAsync(admin, "POST", "/api/v1/keys", new { invoke = Everything });
        var all = await ChangesAsync(5);
        var seen = new List<string>();
        string? cursor = "";
        do
        {
            var page = (await admin.GetFromJsonAsync<JsonObject>($"/api/v1/audit?limit=2&cursor={cursor}"))!;
            Assert.InRange(page["entries"]!.AsArray().Count, 1, 2);
            seen.AddRange(page["entries"]!.AsArray().Select(e => (string)e!["id"]!));
            cursor = (string?)page["next"];
        }
        while (cursor is not null);
        Assert.Equal(all.Select(e => (string)e["id"]!).Reverse(), seen);

        var one = (string)all[2]["target"]!;
        var found = (await admin.GetFromJsonAsync<JsonObject>($"/api/v1/audit?target={one}"))!["entries"]!.AsArray();
        Assert.Equal(one, (string?)Assert.Single(found)!["target"]);
        Assert.Empty((await admin.GetFromJsonAsync<JsonObject>("/api/v1/audit?actor=none"))!["entries"]!.AsArray());
        var early = await admin.GetFromJsonAsync<JsonObject>("/api/v1/audit?until=2020-01-01T00:00:00Z");
        Assert.Empty(early!["entries"]!.AsArray());
        var lines = await admin.GetStringAsync(new Uri("/api/v1/audit?format=jsonl", UriKind.Relative));
        Assert.Equal(seen, lines.TrimEnd().Split('\n').Select(l => (string)JsonNode.Parse(l)!["id"]!));
        foreach (var wrong in new[] { "cursor=x", "limit=0", "since=yesterday", "format=csv" })
        {
            using var refused = await admin.GetAsync(new Uri("/api/v1/audit?" + wrong, UriKind.Relative));
            Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
            Assert.Contains(wrong.Split('=')[0] + " is '", await refused.Content.ReadAsStringAsync(),
                StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Refused_logins_are_counted_by_client_key_and_reason()
    {
        var made = await SendAsync(admin, "POST", "/api/v1/keys", new { metrics = true });
        var gone = await SendAsync(admin, "POST", "/api/v1/keys", new { invoke = Everything });
        await SendAsync(admin, "DELETE", "/api/v1/keys/" + (string)gone!["record"]!["id"]!);
        using var revoked = Client((string)gone["key"]!);
        using var narrow = Client((string)made!["key"]!);
        using var wrong = Client(adminKey[..^1] + (adminKey[^1] == 'a' ? 'b' : 'a'));
        using var malformed = Client("hello");
        using var without = new HttpClient { BaseAddress = admin.BaseAddress };
        foreach (var client in new[] { narrow, wrong, malformed, without, revoked, narrow, narrow })
            await SendAsync(client, "GET", "/api/v1/keys",
                status: client == narrow ? HttpStatusCode.Forbidden : HttpStatusCode.Unauthorized);

        var entries = await Eventually.BecomesAsync(async () => (await admin.GetFromJsonAsync<JsonObject>(
            "/api/v1/audit/refused"))!["entries"]!.AsArray(), e => e.Sum(r => (long)r!["count"]!) >= 6);

        Assert.Equal(
            [
                ("forbidden", (string)made["record"]!["id"]!, 3), ("malformed", "", 2),
                ("unknown", (string)gone["record"]!["id"]!, 1),
            ],
            entries.Select(e => ((string)e!["reason"]!, (string)e["key"]!, (int)e["count"]!))
                .OrderBy(e => e.Item1).ThenBy(e => e.Item2));
        Assert.All(entries, e => Assert.Equal(("127.0.0.1", "GET /api/v1/keys"),
            ((string?)e!["from"], (string?)e["action"])));
    }

    /// <summary>Waits for a number of changes, and returns them, oldest first.</summary>
    private async Task<List<JsonNode>> ChangesAsync(int count)
    {
        var entries = await Eventually.BecomesAsync(async () => (await admin.GetFromJsonAsync<JsonObject>(
            "/api/v1/audit"))!["entries"]!.AsArray(), e => e.Count >= count);
        Assert.True(entries.Count == count, $"{entries.Count} changes instead of {count}: {entries}");
        return [.. entries.Reverse().Select(e => e!)];
    }

    /// <summary>Sends a request. Without a status, it must succeed: a request that fails may be an entry too.</summary>
    private static async Task<JsonNode?> SendAsync(
        HttpClient client, string method, string path, object? body = null, HttpStatusCode? status = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (body is not null) request.Content = JsonContent.Create(body);
        using var answer = await client.SendAsync(request);
        var text = await answer.Content.ReadAsStringAsync();
        var isExpected = status is { } expected ? answer.StatusCode == expected : answer.IsSuccessStatusCode;
        Assert.True(isExpected, $"{method} {path}: {(int)answer.StatusCode} {text}");
        return text.StartsWith('{') ? JsonNode.Parse(text) : null;
    }

    private HttpClient Client(string key)
    {
        var client = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
        client.DefaultRequestHeaders.Add("Authorization", "Bearer " + key);
        return client;
    }
}
