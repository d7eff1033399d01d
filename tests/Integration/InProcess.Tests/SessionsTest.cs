using System.Net;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests the sessions of browsers, and attacks on them.</summary>
public sealed class SessionsTest(SessionsTest.Running running) : IClassFixture<SessionsTest.Running>
{
    private const string Header = "X-Sluice-Request";
    private const string Name = "sluice-session";

    private InProcessGateway Gateway => running.Gateway;

    private string Origin => Gateway.Url.GetLeftPart(UriPartial.Authority);

    /// <summary>One gateway with a web application, and an endpoint whose pages have no rights.</summary>
    public sealed class Running : IAsyncLifetime
    {
        public InProcessGateway Gateway { get; private set; } = null!;

        public async ValueTask InitializeAsync() => Gateway = await InProcessGateway.StartAsync($$"""
            templates:
              - name: application
                command: ["{{Repository.StubWorker}}"]
                env: { STUB_POD: "1" }
                protocol: http1
                readyPath: /
                passCookies: true
              - name: plain
                command: ["{{Repository.StubWorker}}"]
                env: { STUB_POD: "1" }
                protocol: http1
                readyPath: /
            endpoints:
              - { id: app, template: application, scaling: { min: 1, max: 1 }, models: [app] }
              - { id: open, template: plain, public: true, scaling: { min: 1, max: 1 } }
            """);

        public ValueTask DisposeAsync() => Gateway.DisposeAsync();
    }

    [Fact]
    public async Task A_browser_signs_in_with_a_key_and_out_again()
    {
        using var answer = await SignInAsync(Gateway.Key);
        var body = await JsonAsync(answer, HttpStatusCode.Created);
        var own = await Gateway.GetAsync("/api/v1/key");
        Assert.Equal((string?)own["id"], (string?)body["key"]!["id"]);
        Assert.Equal(own["scope"]!.ToJsonString(), body["key"]!["scope"]!.ToJsonString());
        Assert.DoesNotContain(Gateway.Key, body.ToJsonString(), StringComparison.Ordinal);
        Assert.InRange((DateTimeOffset)body["expiresAt"]! - TimeProvider.System.GetUtcNow(), TimeSpan.FromHours(11),
            TimeSpan.FromHours(12));
        var setCookie = Assert.Single(answer.Headers.GetValues("Set-Cookie"));
        Assert.Matches($"^{Name}=[0-9a-f]{{64}}; max-age=43200; path=/; samesite=strict; httponly$", setCookie);
        Assert.True(answer.Headers.CacheControl!.NoStore);

        var cookie = CookieOf(answer);
        var session = await JsonAsync(await SendAsync("GET", "/api/v1/session", cookie), HttpStatusCode.OK);
        Assert.Equal((string?)body["expiresAt"], (string?)session["expiresAt"]);
        using (var read = await SendAsync("GET", "/api/v1/endpoints", cookie))
        {
            Assert.Equal(HttpStatusCode.OK, read.StatusCode);
            Assert.True(read.Headers.CacheControl!.NoStore);
            Assert.Equal("nosniff", read.Headers.GetValues("X-Content-Type-Options").Single());
            Assert.Contains("sandbox", read.Headers.GetValues("Content-Security-Policy").Single(),
                StringComparison.Ordinal);
        }

        Assert.Equal(201, await StatusAsync("POST", "/api/v1/keys", cookie, body: """{"invoke":["app"]}"""));
        using var signedOut = await SendAsync("DELETE", "/api/v1/session", cookie);
        Assert.Equal(HttpStatusCode.NoContent, signedOut.StatusCode);
        Assert.StartsWith($"{Name}=; max-age=0;", Assert.Single(signedOut.Headers.GetValues("Set-Cookie")),
            StringComparison.Ordinal);
        Assert.Equal(401, await StatusAsync("GET", "/api/v1/session", cookie));
        Assert.Equal(204, await StatusAsync("DELETE", "/api/v1/session", cookie));
    }

    [Fact]
    public async Task A_token_does_not_work_after_sign_out_expiry_or_revocation_at_any_gateway()
    {
        await using var other = await Gateway.StartAnotherAsync();
        var cookie = await CookieAsync(Gateway.Key);
        Assert.Equal(200, await StatusAsync("GET", "/api/v1/keys", cookie, other));
        Assert.Equal(204, await StatusAsync("DELETE", "/api/v1/session", cookie));
        Assert.Equal(401, await StatusAsync("GET", "/api/v1/keys", cookie));
        Assert.Equal(401, await StatusAsync("GET", "/api/v1/keys", cookie, other));

        // The clock of Redis, and that of the gateway.
        cookie = await CookieAsync(Gateway.Key);
        var stored = await SessionKeyAsync();
        var json = JsonNode.Parse((string)(await Gateway.Database.StringGetAsync(stored))!)!;
        json["expiresAt"] = DateTimeOffset.UnixEpoch;
        await Gateway.Database.StringSetAsync(stored, json.ToJsonString());
        Assert.Equal(401, await StatusAsync("GET", "/api/v1/keys", cookie));
        await Gateway.Database.KeyDeleteAsync(stored);
        Assert.Equal(401, await StatusAsync("GET", "/api/v1/keys", cookie));

        var (id, text) = await NewKeyAsync("""{"name":"short","read":true}""");
        cookie = await CookieAsync(text);
        Assert.Equal(200, await StatusAsync("GET", "/api/v1/keys", cookie, other));
        using var revoked = await Gateway.Client.DeleteAsync($"/api/v1/keys/{id}");
        Assert.True(revoked.IsSuccessStatusCode);
        Assert.Equal(401, await StatusAsync("GET", "/api/v1/keys", cookie));
        await Eventually.HoldsAsync(async () => await StatusAsync("GET", "/api/v1/keys", cookie, other) == 401);

        (_, text) = await NewKeyAsync($$"""
            {"read":true,"expiresAt":"{{TimeProvider.System.GetUtcNow().AddHours(1):O}}"}
            """);
        using var limited = await SignInAsync(text);
        var ends = (DateTimeOffset)(await JsonAsync(limited, HttpStatusCode.Created))["expiresAt"]!;
        Assert.InRange(ends - TimeProvider.System.GetUtcNow(),
            TimeSpan.FromMinutes(50), TimeSpan.FromHours(1));
    }

    [Fact]
    public async Task A_key_can_end_its_own_session()
    {
        var (id, text) = await NewKeyAsync("""{"name":"own","admin":true}""");
        var cookie = await CookieAsync(text);
        Assert.Equal(204, await StatusAsync("DELETE", $"/api/v1/keys/{id}", cookie));
        Assert.Equal(401, await StatusAsync("GET", "/api/v1/session", cookie));
    }

    [Fact]
    public async Task A_session_ends_if_another_key_gets_its_id()
    {
        var settings = new Dictionary<string, string?> { ["SLUICE_ADMIN_KEY"] = "first-admin-key-of-the-environment" };
        await using var first = await Gateway.StartAnotherAsync(settings);
        using var answer = await SignInAsync(settings["SLUICE_ADMIN_KEY"]!, first);
        var cookie = CookieOf(answer);
        Assert.Equal(200, await StatusAsync("GET", "/api/v1/keys", cookie, first));
        settings["SLUICE_ADMIN_KEY"] = "second-admin-key-of-the-environment";
        await using var second = await Gateway.StartAnotherAsync(settings);
        Assert.Equal(401, await StatusAsync("GET", "/api/v1/keys", cookie, second));
    }

    [Fact]
    public async Task A_sign_in_uses_a_new_token_and_ends_the_session_that_the_browser_had()
    {
        // The attacker fixes a token in the browser of the victim, of a session of the attacker or of none.
        var theirs = await CookieAsync(Gateway.Key);
        foreach (var fixated in new[] { theirs, $"{Name}={new string('a', 64)}" })
        {
            using var answer = await SignInAsync(Gateway.Key, cookie: fixated);
            Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
            Assert.NotEqual(fixated, CookieOf(answer));
            Assert.Equal(401, await StatusAsync("GET", "/api/v1/session", fixated));
            Assert.Equal(200, await StatusAsync("GET", "/api/v1/session", CookieOf(answer)));
        }
    }

    [Fact]
    public async Task Pages_of_other_origins_cannot_use_a_session()
    {
        var cookie = await CookieAsync(Gateway.Key);
        var before = await CountKeysAsync();
        (string, string)[][] attacks =
        [
            // A form: it has no own header.
            [("Origin", "https://evil.example.com"), ("Sec-Fetch-Site", "cross-site")],
            [("Origin", "null")],
            [],
            [("Origin", "https://evil.example.com"), (Header, "1")],
            [("Sec-Fetch-Site", "same-site"), (Header, "1")],
            [("Sec-Fetch-Site", "cross-site"), (Header, "1")],
            [(Header, "true")],
            [("Origin", Origin + "0"), (Header, "1")],
        ];
        foreach (var headers in attacks)
        {
            foreach (var type in new[] { "application/x-www-form-urlencoded", "text/plain", "application/json" })
                Assert.Equal(403, await StatusAsync("POST", "/api/v1/keys", cookie, null, """{"admin":true}""", type,
                    headers));
            foreach (var (method, path) in new[] { ("DELETE", "/api/v1/endpoints/app"), ("POST", "/v2/app/run"),
                ("POST", "/v1/chat/completions"), ("DELETE", "/api/v1/session"), ("POST", "/api/v1/session") })
                Assert.Equal(403, await StatusAsync(method, path, cookie, null, "{}", headers: headers));
        }

        Assert.Equal(before, await CountKeysAsync());
        Assert.Equal(200, await StatusAsync("GET", "/api/v1/session", cookie));
        foreach (var site in new[] { "cross-site", "same-site" })
            Assert.Equal(403, await StatusAsync("GET", "/api/v1/keys", cookie, headers: [("Sec-Fetch-Site", site)]));
        Assert.Equal(403, await StatusAsync("GET", "/api/v1/keys", cookie, headers: [("Origin", "https://evil.org")]));
        Assert.Equal(403, await StatusAsync("GET", "/v2/models/app", cookie,
            headers: [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Dest", "document")]));
        await Gateway.Log.EventAsync("SessionRequestRefused", ("Path", "/api/v1/keys"));
        // With a key, none of this applies: programs have no ambient credentials.
        using var withKey = Gateway.ClientFor(Gateway.Key);
        withKey.DefaultRequestHeaders.Add("Origin", "https://evil.example.com");
        using var allowed = await withKey.PostAsync("/api/v1/keys", new StringContent("""{"invoke":["app"]}"""));
        Assert.Equal(HttpStatusCode.Created, allowed.StatusCode);
    }

    [Fact]
    public async Task Workers_get_no_session_and_sessions_open_no_path_of_a_worker()
    {
        var cookie = await CookieAsync(Gateway.Key);
        Assert.Equal(401, await StatusAsync("GET", "/e/app/page", cookie));
        Assert.Equal(401, await StatusAsync("GET", "/metrics", cookie));
        var secure = $"__Host-{cookie}";
        var (_, text) = await NewKeyAsync("""{"invoke":["app"]}""");
        foreach (var sent in new[] { $"a=1; {cookie}; {secure}; b=2", $"{secure};a=1;{cookie};b=2" })
        {
            using var client = Gateway.ClientFor(text);
            using var request = new HttpRequestMessage(HttpMethod.Get, "/e/app/page?set=sluice-session%3Dx&set=c%3D1");
            request.Headers.Add("Cookie", sent);
            using var answer = await client.SendAsync(request);
            var seen = await JsonAsync(answer, HttpStatusCode.OK);
            Assert.Equal("a=1; b=2", (string?)seen["headers"]!["Cookie"]);
            Assert.Null(seen["headers"]![Header]);
            Assert.Equal("c=1; Path=/e/app/", answer.Headers.GetValues("Set-Cookie").Single());
        }

        foreach (var path in new[] { "/v1/models/app", "/v2/models/app" })
            Assert.DoesNotContain(cookie[(cookie.IndexOf('=', StringComparison.Ordinal) + 1)..],
                await (await SendAsync("GET", path, cookie)).Content.ReadAsStringAsync(), StringComparison.Ordinal);

        using var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Cookie", $"a=1; {cookie}");
        socket.Options.SetRequestHeader("Authorization", "Bearer " + text);
        using var limit = new CancellationTokenSource(ChildProcess.Patience);
        await socket.ConnectAsync(new Uri(new UriBuilder(Gateway.Url) { Scheme = "ws" }.Uri, "/e/app/socket"),
            limit.Token);
        var buffer = new byte[1000];
        var read = await socket.ReceiveAsync(buffer.AsMemory(), limit.Token);
        Assert.Equal(";a=1;", Encoding.UTF8.GetString(buffer, 0, read.Count));

        using var closed = new ClientWebSocket();
        closed.Options.SetRequestHeader("Cookie", cookie);
        closed.Options.SetRequestHeader("Origin", Origin);
        await Assert.ThrowsAsync<WebSocketException>(() => closed.ConnectAsync(
            new Uri(new UriBuilder(Gateway.Url) { Scheme = "ws" }.Uri, "/e/app/socket"), limit.Token));
    }

    [Fact]
    public async Task A_page_of_a_worker_has_an_origin_of_its_own_unless_it_is_a_web_application()
    {
        using var client = Gateway.ClientFor(null);
        using var page = await client.GetAsync(
            "/e/open/?header=Content-Type:text/html&header=Content-Security-Policy:script-src%20*");
        Assert.Contains(page.Headers.GetValues("Content-Security-Policy"),
            p => p.StartsWith("sandbox ", StringComparison.Ordinal)
                && !p.Contains("allow-same-origin", StringComparison.Ordinal));
        using var data = await client.GetAsync("/e/open/");
        Assert.False(data.Headers.Contains("Content-Security-Policy"));
        using var application = await Gateway.Client.GetAsync("/e/app/?header=Content-Type:text/html");
        Assert.False(application.Headers.Contains("Content-Security-Policy"));
    }

    [Fact]
    public async Task A_refused_sign_in_is_recorded_and_limited()
    {
        var (id, text) = await NewKeyAsync("""{"read":true}""");
        using (await Gateway.Client.DeleteAsync($"/api/v1/keys/{id}"))
        {
            // Its text is now of no use.
        }

        // Each gateway has a limit of its own, which other tests need.
        await using var other = await Gateway.StartAnotherAsync();
        Assert.Equal(401, await StatusAsync("POST", "/api/v1/session", "", other, $$"""{"key":"{{text}}"}"""));
        Assert.Equal(401, await StatusAsync("POST", "/api/v1/session", "", other, """{"key":"wrong"}"""));
        foreach (var body in new[] { "[]", "{}", """{"key":1}""", "", "x" })
            Assert.Equal(400, await StatusAsync("POST", "/api/v1/session", "", other, body));
        Assert.Equal(401, await StatusAsync("GET", "/api/v1/session", "", other));
        using (var withKey = await Gateway.Client.GetAsync("/api/v1/session"))
            Assert.Equal(HttpStatusCode.Unauthorized, withKey.StatusCode);
        await Gateway.UntilAsync("/api/v1/audit/refused", list => list["entries"]!.AsArray().Any(e =>
            (string?)e!["key"] == id && (string?)e["reason"] == "unknown"
            && (string?)e["action"] == "POST /api/v1/session"));

        var statuses = new List<int>();
        for (var i = 0; i < 60; i++)
            statuses.Add(await StatusAsync("POST", "/api/v1/session", "", other, """{"key":"wrong"}"""));
        Assert.Contains(429, statuses);
        // The limit applies to failures only.
        Assert.Equal(201, await StatusAsync("POST", "/api/v1/session", "", other,
            $$"""{"key":"{{Gateway.Key}}"}"""));
    }

    [Fact]
    public async Task No_browser_signs_in_while_pods_have_the_origin_of_the_gateway()
    {
        await using var paths = await Gateway.StartAnotherAsync(
            new Dictionary<string, string?> { ["SLUICE_POD_ROUTING"] = "path" });
        using var answer = await SignInAsync(Gateway.Key, paths);
        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        Assert.False(answer.Headers.Contains("Set-Cookie"));
    }

    private Task<HttpResponseMessage> SignInAsync(string key, InProcessGateway? at = null, string cookie = "") =>
        SendAsync("POST", "/api/v1/session", cookie, at, $$"""{"key":"{{key}}"}""");

    private async Task<string> CookieAsync(string key)
    {
        using var answer = await SignInAsync(key);
        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        return CookieOf(answer);
    }

    private static string CookieOf(HttpResponseMessage answer) =>
        answer.Headers.GetValues("Set-Cookie").Single().Split(';')[0];

    /// <summary>Sends a request as a page of the dashboard does, or with other headers.</summary>
    private async Task<HttpResponseMessage> SendAsync(string method, string path, string cookie,
        InProcessGateway? at = null, string? body = null, string type = "application/json",
        (string Name, string Value)[]? headers = null)
    {
        at ??= Gateway;
        using var client = at.ClientFor(null);
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (cookie.Length > 0) request.Headers.Add("Cookie", cookie);
        if (body is not null) request.Content = new StringContent(body, Encoding.UTF8, type);
        if (headers is null) request.Headers.Add(Header, "1");
        foreach (var (name, value) in headers ?? []) request.Headers.TryAddWithoutValidation(name, value);
        return await client.SendAsync(request);
    }

    private async Task<int> StatusAsync(string method, string path, string cookie, InProcessGateway? at = null,
        string? body = null, string type = "application/json", (string Name, string Value)[]? headers = null)
    {
        using var answer = await SendAsync(method, path, cookie, at, body, type, headers);
        return (int)answer.StatusCode;
    }

    private async Task<(string Id, string Text)> NewKeyAsync(string body)
    {
        using var created = await Gateway.Client.PostAsync("/api/v1/keys", new StringContent(body));
        var key = await JsonAsync(created, HttpStatusCode.Created);
        return ((string)key["record"]!["id"]!, (string)key["key"]!);
    }

    private async Task<int> CountKeysAsync() => (await Gateway.GetAsync("/api/v1/keys"))["keys"]!.AsArray().Count;

    /// <summary>Returns the key in Redis of the latest session.</summary>
    private async Task<string> SessionKeyAsync()
    {
        var id = Gateway.Key.Split('_')[1];
        var latest = await Gateway.Database.SortedSetRangeByRankAsync($"sluice:{{sessions}}:key:{id}", -1, -1);
        return $"sluice:{{sessions}}:token:{latest.Single()}";
    }

    private static async Task<JsonObject> JsonAsync(HttpResponseMessage answer, HttpStatusCode expected)
    {
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == expected, $"{answer.StatusCode}: {text}");
        return JsonNode.Parse(text)!.AsObject();
    }
}
