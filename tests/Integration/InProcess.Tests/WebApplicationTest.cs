using System.Net;
using System.Net.Http.Headers;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>
/// A web application as a worker (see <c>WebApplicationStub</c>): the template of <c>app</c> keeps the path and passes
/// the host and cookies; that of <c>closed</c> does not.
/// </summary>
public sealed class WebApplicationTest : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private InProcessGateway gateway = null!;

    public async ValueTask InitializeAsync() => gateway = await InProcessGateway.StartAsync($$"""
        templates:
          - name: application
            command: ["{{Repository.StubWorker}}"]
            env: { STUB_POD: "1" }
            protocol: http1
            readyPath: /
            keepPrefix: true
            passHost: true
            passCookies: true
          - name: closed
            command: ["{{Repository.StubWorker}}"]
            env: { STUB_POD: "1" }
            protocol: http1
            readyPath: /
        endpoints:
          - { id: app, template: application, scaling: { min: 1, max: 1 } }
          - { id: closed, template: closed, scaling: { min: 1, max: 1 } }
        """);

    public async ValueTask DisposeAsync() => await gateway.DisposeAsync();

    [Fact]
    public async Task Path_host_and_cookies_pass_only_if_the_template_says_so()
    {
        const string query = "?set=a%3D1%3B%20Domain%3Dexample.com&set=b%3D2%3B%20Path%3D%2Fe%2Fapp%2Fx";
        var open = await GetAsync("/e/app/page%2F" + query);
        Assert.Equal("/e/app/page%2F" + query, (string?)open.Answer["target"]);
        var headers = open.Answer["headers"]!;
        Assert.Equal(gateway.Url.Authority, (string?)headers["Host"]);
        Assert.Equal(gateway.Url.Authority, (string?)headers["X-Forwarded-Host"]);
        Assert.Equal("http", (string?)headers["X-Forwarded-Proto"]);
        Assert.Equal("127.0.0.1", (string?)headers["X-Forwarded-For"]);
        Assert.Equal("own=1", (string?)headers["Cookie"]);
        Assert.Equal(["a=1; Path=/e/app/", "b=2; Path=/e/app/x"], open.Cookies);

        var closed = await GetAsync("/e/closed/page%2F" + query);
        Assert.Equal("/page%2F" + query, (string?)closed.Answer["target"]);
        headers = closed.Answer["headers"]!;
        Assert.NotEqual(gateway.Url.Authority, (string?)headers["Host"]);
        foreach (var name in new[] { "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-For", "Cookie" })
            Assert.Null(headers[name]);
        Assert.Empty(closed.Cookies);
    }

    [Fact]
    public async Task A_session_works_with_its_cookie_absolute_links_and_a_WebSocket()
    {
        var cookies = new CookieContainer();
        using var browser = new HttpClient(new SocketsHttpHandler { UseProxy = false, CookieContainer = cookies });
        browser.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", gateway.Key);
        var login = await ReadAsync(await browser.GetAsync(
            new Uri(gateway.Url, "/e/app/login?set=session%3D1%3B%20Path%3D%2F%3B%20HttpOnly")));
        Assert.Null(login["headers"]!["Cookie"]);
        var link = new Uri((string)login["link"]!);
        Assert.Equal(new Uri(gateway.Url, "/e/app/login"), link);
        var page = await ReadAsync(await browser.GetAsync(link));
        Assert.Equal("session=1", (string?)page["headers"]!["Cookie"]);
        // Browsers do not send it to another endpoint.
        Assert.Empty(cookies.GetCookies(new Uri(gateway.Url, "/e/closed/login")));

        using var socket = new ClientWebSocket();
        socket.Options.Cookies = cookies;
        socket.Options.SetRequestHeader("Authorization", "Bearer " + gateway.Key);
        socket.Options.SetRequestHeader("Origin", gateway.Url.GetLeftPart(UriPartial.Authority));
        using var limit = new CancellationTokenSource(Patience);
        var url = new UriBuilder(gateway.Url) { Scheme = "ws", Path = "/e/app/socket" }.Uri;
        await socket.ConnectAsync(url, limit.Token);
        await socket.SendAsync(Encoding.UTF8.GetBytes("hello"), WebSocketMessageType.Text, true, limit.Token);
        Assert.Equal(
            [$";session=1;{gateway.Url.GetLeftPart(UriPartial.Authority)}", "hello"],
            [await ReadAsync(socket), await ReadAsync(socket)]);
    }

    [Fact]
    public async Task Texts_below_a_kept_prefix_count_against_the_limits_of_the_key()
    {
        using var created = await gateway.Client.PostAsync("/api/v1/keys",
            new StringContent("""{"name":"limited","invoke":["app"],"tokensPerMinute":10}"""));
        var key = (string)JsonNode.Parse(await created.Content.ReadAsStringAsync())!["key"]!;
        using var client = gateway.ClientFor(key);
        const string body = """{"model":"app","max_tokens":11,"messages":[{"role":"user","content":"x"}]}""";
        using var answer = await client.PostAsync("/e/app/v1/chat/completions", new StringContent(body));
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
    }

    private async Task<(JsonObject Answer, IReadOnlyList<string> Cookies)> GetAsync(string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(gateway.Url, path));
        request.Headers.Add("Cookie", "own=1");
        request.Headers.Add("X-Forwarded-Proto", "https");
        using var answer = await gateway.Client.SendAsync(request);
        var cookies = answer.Headers.TryGetValues("Set-Cookie", out var values) ? values.ToList() : [];
        return (await ReadAsync(answer), cookies);
    }

    private static async Task<JsonObject> ReadAsync(HttpResponseMessage answer)
    {
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        return JsonNode.Parse(await answer.Content.ReadAsStringAsync())!.AsObject();
    }

    private static async Task<string> ReadAsync(ClientWebSocket socket)
    {
        var buffer = new byte[4096];
        using var limit = new CancellationTokenSource(Patience);
        var read = await socket.ReceiveAsync(buffer.AsMemory(), limit.Token);
        return Encoding.UTF8.GetString(buffer, 0, read.Count);
    }
}
