using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>What browsers need that other clients do not: preflights without a key, headers that let a page read an answer, a key for a WebSocket.</summary>
public sealed class BrowserClientsTest(BrowserClientsTest.Served served) : IClassFixture<BrowserClientsTest.Served>
{
    private const string App = "https://app.example.com";

    public sealed class Served : IAsyncLifetime
    {
        public GatewayProcess Gateway { get; private set; } = null!;

        /// <summary>Where the page of another origin is served from.</summary>
        public int PagePort { get; } = FreePort.Find();

        public async ValueTask InitializeAsync()
        {
            var script = Repository.HostileWorker;
            var folder = Directory.CreateTempSubdirectory("sluice-browser-").FullName;
            Gateway = await GatewayProcess.StartAsync($$"""
                templates:
                  - name: server
                    command: [/usr/bin/python3, "{{script}}", "{port}", "{{folder}}"]
                    protocol: http1
                    readyPath: /ready
                    handlerPath: /error-500
                  - name: broken
                    command: [/bin/false]
                endpoints:
                  - { id: plain, template: server }
                  - { id: closed, template: server, cors: { origins: [] } }
                  - { id: open, template: server, public: true, cors: { origins: ["*"], headers: [X-Mine], maxAge: 1h } }
                  - { id: paused, template: server, queue: { maxDepth: 0 }, scaling: { pause: QUEUE } }
                  - { id: refusing, template: server, scaling: { pause: REFUSE } }
                  - { id: slow, template: server, queue: { timeout: 10ms }, scaling: { pause: QUEUE } }
                  - { id: broken, template: broken, jobs: { maxRuns: 1 } }
                """, folder, new Dictionary<string, string?> { ["SLUICE_CORS_ORIGINS"] = $"{App}, http://127.0.0.1:{PagePort}" });
        }

        public async ValueTask DisposeAsync()
        {
            var folder = Gateway.Folder;
            await Gateway.DisposeAsync();
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData("/e/plain/any/path")]
    [InlineData("/v2/models/plain/infer")]
    [InlineData("/v2/plain/run")]
    [InlineData("/v2/health/ready")]
    [InlineData("/api/v1/endpoints")]
    [InlineData("/metrics")]
    [InlineData("/no/such/path")]
    public async Task A_preflight_is_answered_without_a_key(string path)
    {
        using var answer = await PreflightAsync(path, App);
        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        Assert.Equal(App, One(answer, "Access-Control-Allow-Origin"));
        Assert.Equal("POST", One(answer, "Access-Control-Allow-Methods"));
        Assert.Equal("authorization,x-own", One(answer, "Access-Control-Allow-Headers"));
        Assert.Equal("600", One(answer, "Access-Control-Max-Age"));
        Assert.Contains("Origin", answer.Headers.Vary);
    }

    [Theory]
    [InlineData("/e/plain/x", "https://evil.example.com")]
    [InlineData("/e/plain/x", "http://app.example.com")]
    [InlineData("/e/closed/x", App)]
    [InlineData("/v2/closed/run", App)]
    [InlineData("/api/v1/endpoints", "https://evil.example.com")]
    [InlineData("/api/v1/endpoints/open", "https://evil.example.com")]
    public async Task A_preflight_of_an_origin_that_is_not_allowed_is_refused(string path, string origin)
    {
        using var answer = await PreflightAsync(path, origin);
        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        Assert.Contains(origin, await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.False(answer.Headers.Contains("Access-Control-Allow-Origin"));
    }

    [Fact]
    public async Task An_endpoint_of_any_origin_says_so_and_names_its_headers()
    {
        using (var answer = await PreflightAsync("/e/open/x", "https://evil.example.com"))
        {
            Assert.Equal("*", One(answer, "Access-Control-Allow-Origin"));
            Assert.Equal("Authorization, Content-Type, X-Mine", One(answer, "Access-Control-Allow-Headers"));
            Assert.Equal("3600", One(answer, "Access-Control-Max-Age"));
        }

        using var plain = served.Gateway.ClientFor(null);
        using var got = await plain.GetAsync(new Uri("/e/open/headers", UriKind.Relative));
        Assert.Equal("*", One(got, "Access-Control-Allow-Origin"));
        Assert.DoesNotContain("Origin", got.Headers.Vary);
    }

    [Theory]
    [InlineData("/e/plain/headers", true, 200)]
    [InlineData("/e/plain/events", true, 200)]
    [InlineData("/api/v1/endpoints", true, 200)]
    [InlineData("/e/plain/headers", false, 401)]
    [InlineData("/v2/plain/status/none", true, 404)]
    [InlineData("/no/such/path", true, 404)]
    [InlineData("/e/paused/x", true, 429)]
    [InlineData("/e/plain/error-500", true, 500)]
    [InlineData("/e/plain/two-lengths", true, 502)]
    [InlineData("/e/refusing/x", true, 503)]
    [InlineData("/e/slow/x", true, 504)]
    public async Task Every_answer_can_be_read_by_a_page_of_an_allowed_origin(string path, bool withKey, int status)
    {
        using var client = served.Gateway.ClientFor(withKey ? served.Gateway.Key : null);
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Add("Origin", App);
        using var answer = await client.SendAsync(request);
        Assert.Equal(status, (int)answer.StatusCode);
        Assert.Equal(App, One(answer, "Access-Control-Allow-Origin"));
        Assert.Contains("Origin", answer.Headers.Vary);
        var exposed = One(answer, "Access-Control-Expose-Headers");
        foreach (var name in new[] { "RateLimit", "Retry-After", "Server-Timing", "X-Request-Id" }) Assert.Contains(name, exposed, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_answer_to_another_origin_cannot_be_read_and_is_not_given_to_it_by_a_cache()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/e/plain/headers");
        request.Headers.Add("Origin", "https://evil.example.com");
        using var answer = await served.Gateway.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.False(answer.Headers.Contains("Access-Control-Allow-Origin"));
        Assert.Contains("Origin", answer.Headers.Vary);
    }

    [Theory]
    [InlineData("sluice.key.KEY, sluice", 101, "none", "sluice")]
    [InlineData("chat, sluice.key.KEY", 101, "chat", "chat")]
    [InlineData("sluice.key.KEY, sluice, chat", 101, "chat", "chat")]
    [InlineData("sluice.key.KEY", 101, "none", "")]
    [InlineData("sluice.key.wrong, sluice", 401, "", "")]
    [InlineData("chat", 401, "", "")]
    public async Task A_websocket_carries_its_key_as_a_subprotocol_that_no_worker_and_no_answer_has(string offer, int status, string offered, string chosen)
    {
        var key = served.Gateway.Key;
        var answer = await HandshakeAsync("/e/plain/socket", offer.Replace("KEY", key, StringComparison.Ordinal));
        Assert.StartsWith($"HTTP/1.1 {status}", answer, StringComparison.Ordinal);
        Assert.DoesNotContain(key, answer, StringComparison.Ordinal);
        if (status != 101) return;
        Assert.Contains($"X-Offered: {offered}\r\n", answer, StringComparison.Ordinal);
        Assert.Equal(chosen.Length > 0, answer.Contains($"Sec-WebSocket-Protocol: {chosen}\r\n", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_key_in_a_subprotocol_counts_for_a_websocket_only()
    {
        using var client = served.Gateway.ClientFor(null);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/e/plain/headers");
        request.Headers.TryAddWithoutValidation("Sec-WebSocket-Protocol", "sluice.key." + served.Gateway.Key);
        using var answer = await client.SendAsync(request);
        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
    }

    [Fact]
    public async Task Metrics_tell_the_class_of_a_workers_status_and_what_is_blocked_or_dead_for_as_long_as_it_is_declared()
    {
        var gateway = served.Gateway;
        (await gateway.Client.GetAsync(new Uri("/e/plain/error-500", UriKind.Relative))).Dispose();
        (await gateway.Client.GetAsync(new Uri("/e/plain/headers", UriKind.Relative))).Dispose();
        Assert.True(await gateway.MetricAsync("sluice_requests_total", "endpoint=\"plain\",outcome=\"answered\",status=\"5xx\"") >= 1);
        Assert.True(await gateway.MetricAsync("sluice_requests_total", "endpoint=\"plain\",outcome=\"answered\",status=\"2xx\"") >= 1);
        Assert.True(await gateway.MetricAsync("sluice_api_keys", "scope=\"admin\"") >= 1);

        // Its workers cannot start: that is told once three starts have failed.
        var job = await new Jobs(gateway, "broken").RunAsync(1);
        using var refused = await gateway.Client.PostAsync(new Uri("/e/broken/x", UriKind.Relative), new StringContent("1"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.Equal(1, await gateway.MetricAsync("sluice_endpoint_blocked", "endpoint=\"broken\""));
        Assert.Equal(1, await gateway.MetricAsync("sluice_queue_depth", "endpoint=\"broken\""));
        Assert.Equal(0, await gateway.MetricAsync("sluice_job_dead_letters", "endpoint=\"broken\""));
        (await new Jobs(gateway, "broken").PostAsync($"cancel/{job}")).Dispose();
        Assert.Equal(0, await gateway.MetricAsync("sluice_queue_depth", "endpoint=\"broken\""));

        var lines = await File.ReadAllLinesAsync(gateway.ManifestPath);
        await File.WriteAllTextAsync(gateway.ManifestPath, string.Join('\n', lines.Where(l => !l.Contains("id: broken", StringComparison.Ordinal))));
        await gateway.UntilAsync("/api/v1/endpoints", all => !all.ToJsonString().Contains("\"broken\"", StringComparison.Ordinal));
        var metrics = await gateway.Client.GetStringAsync(new Uri("/metrics", UriKind.Relative));
        foreach (var name in new[] { "sluice_queue_depth", "sluice_endpoint_blocked", "sluice_job_dead_letters" })
        {
            Assert.DoesNotContain(name + "{endpoint=\"broken\"}", metrics, StringComparison.Ordinal);
            Assert.Contains(name + "{endpoint=\"plain\"} 0", metrics, StringComparison.Ordinal);
        }

        Assert.Contains("sluice_worker_time_today_seconds{endpoint=\"plain\"}", metrics, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_page_of_another_origin_works_in_a_real_browser()
    {
        Require.Program("chromium", "chromium");
        using var pages = new HttpListener { Prefixes = { $"http://127.0.0.1:{served.PagePort}/" } };
        pages.Start();
        var result = ServeAsync(pages, Page.Replace("GATEWAY", served.Gateway.Url.Authority, StringComparison.Ordinal)
            .Replace("KEY", served.Gateway.Key, StringComparison.Ordinal));
        var profile = Directory.CreateTempSubdirectory("sluice-chromium-").FullName;
        JsonNode seen;
        await using (new ChildProcess("chromium", ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            $"--user-data-dir={profile}", $"http://127.0.0.1:{served.PagePort}/"], new Dictionary<string, string?>()))
            seen = JsonNode.Parse(await result.WaitAsync(ChildProcess.Patience))!;

        Assert.Equal("200 id timing", (string?)seen["withKey"]);
        Assert.Equal("200 id timing", (string?)seen["events"]);
        Assert.Equal("200", (string?)seen["management"]);
        Assert.Equal("401 id", (string?)seen["withoutKey"]);
        Assert.Equal("502 id timing", (string?)seen["badAnswer"]);
        Assert.Equal("200 id timing", (string?)seen["anyOrigin"]);
        Assert.StartsWith("TypeError", (string?)seen["closed"], StringComparison.Ordinal);
        Assert.Equal("sluice", (string?)seen["socket"]);
        Assert.Equal("chat", (string?)seen["chat"]);
    }

    /// <summary>Calls the gateway in the ways of a page, and posts what it saw to where it came from.</summary>
    private const string Page = """
        <script type="module">
        const key = { Authorization: "Bearer KEY", "X-Own": "1" };
        const get = async (path, headers) => {
          try {
            const answer = await fetch("http://GATEWAY" + path, { headers });
            await answer.text();
            return answer.status + (answer.headers.get("X-Request-Id") ? " id" : "") + (answer.headers.get("Server-Timing") ? " timing" : "");
          } catch (e) { return String(e); }
        };
        const open = (...protocols) => new Promise(done => {
          const socket = new WebSocket("ws://GATEWAY/e/plain/socket", protocols);
          socket.onopen = () => done(socket.protocol);
          socket.onerror = () => done("refused");
        });
        const seen = {
          withKey: await get("/e/plain/headers", key),
          events: await get("/e/plain/events", key),
          management: await get("/api/v1/endpoints", key),
          withoutKey: await get("/e/plain/headers"),
          badAnswer: await get("/e/plain/two-lengths", key),
          anyOrigin: await get("/e/open/headers"),
          closed: await get("/e/closed/headers", key),
          socket: await open("sluice.key.KEY", "sluice"),
          chat: await open("sluice.key.KEY", "chat"),
        };
        await fetch("/result", { method: "POST", body: JSON.stringify(seen) });
        </script>
        """;

    /// <summary>Serves the page until it posts a result.</summary>
    private static async Task<string> ServeAsync(HttpListener listener, string page)
    {
        while (true)
        {
            var context = await listener.GetContextAsync();
            using var response = context.Response;
            if (context.Request.HttpMethod == "POST")
            {
                using var reader = new StreamReader(context.Request.InputStream);
                return await reader.ReadToEndAsync();
            }

            response.ContentType = "text/html";
            await response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes(page));
        }
    }

    private async Task<HttpResponseMessage> PreflightAsync(string path, string origin)
    {
        using var client = served.Gateway.ClientFor(null);
        using var request = new HttpRequestMessage(HttpMethod.Options, path);
        request.Headers.Add("Origin", origin);
        request.Headers.Add("Access-Control-Request-Method", "POST");
        request.Headers.Add("Access-Control-Request-Headers", "authorization,x-own");
        return await client.SendAsync(request);
    }

    private static string One(HttpResponseMessage answer, string name) => answer.Headers.GetValues(name).Single();

    /// <summary>The head of the answer to a WebSocket's handshake without a header for a key.</summary>
    private async Task<string> HandshakeAsync(string path, string protocols)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, served.Gateway.Url.Port);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            + $"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {protocols}\r\n\r\n"));
        using var reader = new StreamReader(stream, Encoding.ASCII);
        var head = new StringBuilder();
        while (await reader.ReadLineAsync() is { Length: > 0 } line) head.Append(line).Append("\r\n");
        return head.ToString();
    }
}
