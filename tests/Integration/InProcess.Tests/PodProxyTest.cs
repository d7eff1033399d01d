using System.Net.WebSockets;
using System.Text;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests what the application of a pod gets of requests, and what clients get of its answers.</summary>
public sealed class PodProxyTest(PodProxyTest.Running running) : IClassFixture<PodProxyTest.Running>
{
    private readonly PodsGateway pods = running.Pods;

    /// <summary>One gateway with two pods.</summary>
    public sealed class Running : IAsyncLifetime
    {
        public PodsGateway Pods { get; } = new();

        public string Pod { get; private set; } = "";

        public string Other { get; private set; } = "";

        public async ValueTask InitializeAsync()
        {
            await Pods.InitializeAsync();
            (Pod, Other) = (await Pods.RunAsync(), await Pods.RunAsync());
        }

        public ValueTask DisposeAsync() => Pods.DisposeAsync();
    }

    private string Pod => running.Pod;

    [Fact]
    public async Task An_application_gets_the_request_as_the_client_sent_it_without_its_key()
    {
        var answer = await pods.OpenAsync(Pod, "/a%2Fb//c/../d?x=%20&y", PodsGateway.Port, HttpMethod.Put, "body",
            pods.WithKey(), ("X-Own", "1"), ("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"),
            ("Forwarded", "for=6.6.6.6"), ("X-Real-IP", "6.6.6.6"), ("X-Sluice-Worker", "w"), ("Cookie", "a=1; b=2"));
        Assert.Equal(200, answer.Status);
        Assert.Equal("PUT", (string?)answer.Json["method"]);
        Assert.Equal("body", (string?)answer.Json["body"]);
        Assert.EndsWith("?x=%20&y", (string?)answer.Json["target"], StringComparison.Ordinal);
        Assert.Equal($"{Pod}-8888.localhost:{pods.Gateway.Url.Port}", answer.Received("Host"));
        Assert.Equal(answer.Received("Host"), answer.Received("X-Forwarded-Host"));
        Assert.Equal("http", answer.Received("X-Forwarded-Proto"));
        Assert.Equal("127.0.0.1", answer.Received("X-Forwarded-For"));
        Assert.Equal("a=1; b=2", answer.Received("Cookie"));
        Assert.Equal("1", answer.Received("X-Own"));
        foreach (var removed in new[] { "Authorization", "Forwarded", "X-Real-IP", "X-Sluice-Worker" })
            Assert.Null(answer.Received(removed));
    }

    [Fact]
    public async Task With_a_cookie_the_application_gets_its_own_cookies_and_its_own_authorization()
    {
        var cookie = await pods.SignInAsync(Pod);
        var answer = await OpenAsync("/", ("Cookie", $"a=1; {cookie}; b=2"), ("Authorization", "token abc"));
        Assert.Equal(200, answer.Status);
        Assert.Equal("a=1; b=2", answer.Received("Cookie"));
        Assert.Equal("token abc", answer.Received("Authorization"));
        Assert.Null((await OpenAsync("/", ("Cookie", cookie))).Received("Cookie"));
    }

    [Fact]
    public async Task An_application_sets_cookies_of_its_own_origin_and_never_that_of_the_gateway()
    {
        string[] set = ["own=1; Path=/lab; HttpOnly", "wide=2; Domain=localhost; Path=/", "sluice-pod=stolen; Path=/"];
        var query = string.Join('&', set.Select(s => "set=" + Uri.EscapeDataString(s)));
        var answer = await OpenAsync("/?" + query, pods.WithKey());
        Assert.Equal(["own=1; HttpOnly; Path=/lab", "wide=2; Path=/"], answer.Headers["Set-Cookie"]);
    }

    [Fact]
    public async Task Headers_that_concern_more_than_the_pod_are_removed()
    {
        string[] headers =
        [
            "Strict-Transport-Security:max-age=9", "Alt-Svc:h3", "Clear-Site-Data:*", "X-Accel-Redirect:/etc",
            "X-Own:1", "Content-Security-Policy:default-src 'self'",
        ];
        var answer = await OpenAsync("/?" + string.Join('&', headers.Select(h => "header=" + Uri.EscapeDataString(h))),
            pods.WithKey());
        Assert.Equal(200, answer.Status);
        Assert.Equal(["1"], answer.Headers["X-Own"]);
        Assert.Equal(["default-src 'self'"], answer.Headers["Content-Security-Policy"]);
        Assert.Empty(answer.Headers.Keys.Intersect(
            ["Strict-Transport-Security", "Alt-Svc", "Clear-Site-Data", "X-Accel-Redirect"]));
    }

    [Fact]
    public async Task A_websocket_has_its_subprotocols_and_echoes()
    {
        using var socket = await pods.ConnectAsync(Pod, ["v1.kernel", "v2.kernel"], pods.WithKey(), ("Cookie", "a=1"));
        Assert.Equal("v2.kernel", socket.SubProtocol);
        Assert.Equal("v1.kernel,v2.kernel;a=1;", await PodsGateway.ReceiveAsync(socket));
        await socket.SendAsync("hello"u8.ToArray(), WebSocketMessageType.Text, true, default);
        Assert.Equal("hello", await PodsGateway.ReceiveAsync(socket));
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, default);
        Assert.Equal(WebSocketCloseStatus.NormalClosure, socket.CloseStatus);
    }

    [Fact]
    public async Task A_websocket_may_have_its_key_among_the_subprotocols()
    {
        using var socket = await pods.ConnectAsync(Pod, ["sluice.key." + pods.Gateway.Key, "sluice"]);
        Assert.Equal("sluice", socket.SubProtocol);
        Assert.DoesNotContain(pods.Gateway.Key, await PodsGateway.ReceiveAsync(socket), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_host_name_of_a_pod_serves_no_route_of_the_gateway()
    {
        var answer = await OpenAsync("/api/v1/keys", pods.WithKey());
        Assert.Equal("/api/v1/keys", (string?)answer.Json["target"]);
        Assert.Equal(401, (await OpenAsync("/healthz")).Status);
        Assert.Equal(404, (await OpenAsync("/.sluice/other", pods.WithKey())).Status);
    }

    [Fact]
    public async Task A_port_on_which_nothing_listens_is_reported_and_one_that_is_not_open_is_refused()
    {
        var silent = await pods.OpenAsync(Pod, "/", 9999, headers: [pods.WithKey()]);
        Assert.Equal(502, silent.Status);
        Assert.Contains("port 9999", silent.Text, StringComparison.Ordinal);
        var cookie = await pods.SignInAsync(Pod);
        foreach (var closed in new[] { 22, 80, pods.Gateway.Url.Port })
        {
            Assert.Equal(404, (await pods.OpenAsync(Pod, "/", closed, headers: [pods.WithKey()])).Status);
            Assert.Equal(404, (await pods.OpenAsync(Pod, "/", closed, headers: [("Cookie", cookie)])).Status);
        }

        var (status, _) = await pods.SendAsync(HttpMethod.Post, $"/api/v1/pods/{Pod}/links?port=80");
        Assert.Equal(400, status);
    }

    [Theory]
    [InlineData("/x", "path is '/x'")]
    [InlineData("a\\b", "path is 'a\\b'")]
    public async Task A_link_leads_to_a_path_of_the_pod(string path, string error)
    {
        var (status, answer) = await pods.SendAsync(
            HttpMethod.Post, $"/api/v1/pods/{Pod}/links?path={Uri.EscapeDataString(path)}");
        Assert.Equal(400, status);
        Assert.Contains(error, (string?)answer["detail"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_page_of_a_link_redeems_it_with_a_script_and_cannot_be_framed()
    {
        var page = await OpenAsync("/.sluice/open");
        Assert.Equal(200, page.Status);
        Assert.Contains("frame-ancestors 'none'", page.Headers["Content-Security-Policy"][0], StringComparison.Ordinal);
        Assert.Contains("open.js", page.Text, StringComparison.Ordinal);
        Assert.Contains("fetch(", (await OpenAsync("/.sluice/open.js")).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_link_is_used_once_and_its_cookie_is_only_for_the_pods_own_pages()
    {
        var ticket = await pods.TicketAsync(Pod);
        // Neither another page, nor the page of another pod or port, can redeem it.
        Assert.Equal(403, (await pods.RedeemAsync(Pod, ticket, origin: "http://evil.example")).Status);
        var opened = await pods.RedeemAsync(Pod, ticket);
        Assert.Equal((200, "/"), (opened.Status, (string?)opened.Json["location"]));
        var cookie = Assert.Single(opened.Headers["Set-Cookie"]);
        Assert.StartsWith("sluice-pod=", cookie, StringComparison.Ordinal);
        foreach (var attribute in new[] { "path=/", "samesite=lax", "httponly", "max-age=43200" })
            Assert.Contains("; " + attribute, cookie, StringComparison.Ordinal);
        Assert.Equal(401, (await pods.RedeemAsync(Pod, ticket)).Status);
        Assert.Equal(401, (await pods.RedeemAsync(Pod, "unknown")).Status);
        // A ticket of another pod is used up, and opens nothing.
        var foreign = await pods.TicketAsync(running.Other);
        Assert.Equal(401, (await pods.RedeemAsync(Pod, foreign)).Status);
    }

    [Fact]
    public async Task A_cookie_opens_its_own_pod_only_and_only_as_it_was_signed()
    {
        var cookie = await pods.SignInAsync(running.Other);
        Assert.Equal(401, (await OpenAsync("/", ("Cookie", cookie))).Status);
        Assert.Equal(200, (await pods.OpenAsync(running.Other, "/", headers: [("Cookie", cookie)])).Status);
        // The name of this pod with the signature of the other one.
        var forged = cookie.Replace(running.Other, Pod, StringComparison.Ordinal);
        Assert.Equal(401, (await OpenAsync("/", ("Cookie", forged))).Status);
        Assert.Equal(401, (await OpenAsync("/")).Status);
        Assert.Equal(401, (await OpenAsync("/", ("Cookie", "sluice-pod=x"))).Status);
        // A pod sees no difference between a pod that does not exist and one that is not its caller's.
        var unknown = await pods.OpenAsync("a0123456789abc", "/", headers: [("Cookie", cookie)]);
        Assert.Equal(401, unknown.Status);
    }

    [Theory]
    [InlineData("POST", "http://evil.example", "cross-site", "cors", "empty", 403)]
    [InlineData("POST", "http://evil.example", "", "", "", 403)]
    [InlineData("POST", "null", "cross-site", "navigate", "document", 403)]
    [InlineData("POST", "", "", "", "", 403)]
    [InlineData("GET", "", "cross-site", "no-cors", "image", 403)]
    [InlineData("GET", "", "same-site", "navigate", "iframe", 403)]
    [InlineData("GET", "OTHER", "same-site", "cors", "empty", 403)]
    [InlineData("GET", "", "cross-site", "navigate", "document", 200)]
    [InlineData("GET", "", "none", "navigate", "document", 200)]
    [InlineData("POST", "OWN", "same-origin", "cors", "empty", 200)]
    public async Task A_request_of_another_page_cannot_use_the_cookie(
        string method, string origin, string site, string mode, string destination, int status)
    {
        var cookie = await pods.SignInAsync(Pod);
        var from = origin switch { "OWN" => pods.OriginOf(Pod), "OTHER" => pods.OriginOf(running.Other), _ => origin };
        (string, string)[] headers =
        [
            ("Cookie", cookie), ("Origin", from), ("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode),
            ("Sec-Fetch-Dest", destination),
        ];
        var answer = await pods.OpenAsync(Pod, "/api/kernels", PodsGateway.Port, new HttpMethod(method), null,
            [.. headers.Where(h => h.Item2.Length > 0)]);
        Assert.Equal(status, answer.Status);
    }

    [Fact]
    public async Task A_websocket_needs_a_cookie_and_the_origin_of_the_pod()
    {
        var cookie = await pods.SignInAsync(Pod);
        await RefusedAsync("401");
        await RefusedAsync("401", ("Cookie", "sluice-pod=x"), ("Origin", pods.OriginOf(Pod)));
        await RefusedAsync("403", ("Cookie", cookie));
        await RefusedAsync("403", ("Cookie", cookie), ("Origin", "http://evil.example"));
        await RefusedAsync("403", ("Cookie", cookie), ("Origin", pods.OriginOf(running.Other)));
        using var socket = await pods.ConnectAsync(Pod, [], ("Cookie", cookie), ("Origin", pods.OriginOf(Pod)));
        Assert.Equal($";;{pods.OriginOf(Pod)}", await PodsGateway.ReceiveAsync(socket));

        async Task RefusedAsync(string status, params (string, string)[] headers)
        {
            var refused = await Assert.ThrowsAsync<WebSocketException>(() => pods.ConnectAsync(Pod, [], headers));
            Assert.Contains(status, refused.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_revoked_key_ends_its_websocket_and_its_cookie()
    {
        var (key, id) = await pods.CreateKeyAsync("""{"name":"k","admin":true}""");
        var cookie = await pods.SignInAsync(Pod, key);
        using var byCookie = await pods.ConnectAsync(Pod, [], ("Cookie", cookie), ("Origin", pods.OriginOf(Pod)));
        using var byKey = await pods.ConnectAsync(Pod, [], pods.WithKey(key));
        using var other = await pods.ConnectAsync(Pod, [], pods.WithKey());
        foreach (var socket in new[] { byCookie, byKey, other }) await PodsGateway.ReceiveAsync(socket);
        var before = TimeProvider.System.GetTimestamp();
        Assert.True((await pods.SendAsync(HttpMethod.Delete, $"/api/v1/keys/{id}")).Status is 200 or 204);
        foreach (var socket in new[] { byCookie, byKey })
            await Assert.ThrowsAnyAsync<Exception>(() => PodsGateway.ReceiveAsync(socket));
        TestContext.Current.TestOutputHelper!.WriteLine(
            $"the WebSockets of a revoked key were cut after {TimeProvider.System.GetElapsedTime(before)}");
        await pods.Gateway.Log.EventAsync("UserPodConnectionCut", ("Pod", Pod), ("Key", id));
        Assert.Equal(401, (await OpenAsync("/", ("Cookie", cookie))).Status);
        await other.SendAsync(Encoding.UTF8.GetBytes("still"), WebSocketMessageType.Text, true, default);
        Assert.Equal("still", await PodsGateway.ReceiveAsync(other));
    }

    [Fact]
    public async Task A_stop_ends_the_open_websockets_of_the_pod()
    {
        var pod = await pods.RunAsync();
        using var socket = await pods.ConnectAsync(pod, [], pods.WithKey());
        await PodsGateway.ReceiveAsync(socket);
        Assert.Equal(200, await pods.ActAsync(pod, "stop"));
        await Eventually.HoldsAsync(async () =>
        {
            try
            {
                await PodsGateway.ReceiveAsync(socket);
                return socket.State != WebSocketState.Open;
            }
            catch (WebSocketException)
            {
                return true;
            }
        });
        await pods.UntilAsync(pod, "EXITED");
    }

    [Fact]
    public async Task A_key_opens_the_pods_of_its_scope_and_changes_none()
    {
        var (key, _) = await pods.CreateKeyAsync($$"""{"name":"k","pods":["{{Pod}}"]}""");
        using var guest = pods.Gateway.ClientFor(key);
        Assert.Equal(200, (await OpenAsync("/", pods.WithKey(key))).Status);
        var cookie = await pods.SignInAsync(Pod, key);
        Assert.Equal(200, (await OpenAsync("/", ("Cookie", cookie))).Status);
        Assert.Equal(403, (await pods.OpenAsync(running.Other, "/", headers: [pods.WithKey(key)])).Status);
        var (_, list) = await pods.SendAsync(HttpMethod.Get, "/api/v1/pods", null, guest);
        Assert.Equal(Pod, (string?)Assert.Single(list["pods"]!.AsArray())!["id"]);
        foreach (var action in new[] { "stop", "restart", "terminate" })
            Assert.Equal(403,
                (await pods.SendAsync(HttpMethod.Post, $"/api/v1/pods/{Pod}/{action}", null, guest)).Status);
        Assert.Equal(403, (await pods.SendAsync(HttpMethod.Delete, $"/v2/pods/{Pod}", null, guest)).Status);
        var (status, error) = await pods.SendAsync(HttpMethod.Post, "/api/v1/keys", """{"name":"k","pods":["x"]}""");
        Assert.Equal(400, status);
        Assert.Contains("pods[0] is \"x\"; expected the id of a pod", (string?)error["detail"],
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_without_pods_opens_none()
    {
        var (key, _) = await pods.CreateKeyAsync("""{"name":"k","invoke":["*"]}""");
        using var guest = pods.Gateway.ClientFor(key);
        Assert.Equal(403, (await OpenAsync("/", pods.WithKey(key))).Status);
        Assert.Equal(404, (await pods.SendAsync(HttpMethod.Get, $"/api/v1/pods/{Pod}", null, guest)).Status);
        Assert.Equal(404, (await pods.SendAsync(HttpMethod.Post, $"/api/v1/pods/{Pod}/links", null, guest)).Status);
        Assert.Empty((await pods.SendAsync(HttpMethod.Get, "/api/v1/pods", null, guest)).Answer["pods"]!.AsArray());
        Assert.Equal(403, (await pods.SendAsync(HttpMethod.Post, $"/api/v1/pods/{Pod}/stop", null, guest)).Status);
    }

    private Task<PodAnswer> OpenAsync(string path, params (string, string)[] headers) =>
        pods.OpenAsync(Pod, path, headers: headers);
}
