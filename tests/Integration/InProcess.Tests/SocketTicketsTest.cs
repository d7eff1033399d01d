using System.Net;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests the tickets of WebSockets with a web application, and attacks on them.</summary>
public sealed class SocketTicketsTest : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private InProcessGateway gateway = null!;

    private string Origin => gateway.Url.GetLeftPart(UriPartial.Authority);

    public async ValueTask InitializeAsync() => gateway = await InProcessGateway.StartAsync($$"""
        templates:
          - name: web
            command: ["{{Repository.StubWorker}}"]
            env: { STUB_POD: "1" }
            protocol: http1
            readyPath: /
        endpoints:
          - { id: app, template: web, scaling: { min: 1, max: 1 }, cors: { origins: ["https://app.example.com"] } }
          - { id: other, template: web, scaling: { max: 1 } }
          - { id: open, template: web, public: true, scaling: { max: 1 } }
        """, new Dictionary<string, string?> { ["SLUICE_LOG_LEVEL"] = "trace" });

    public async ValueTask DisposeAsync() => await gateway.DisposeAsync();

    [Fact]
    public async Task A_ticket_opens_one_WebSocket_and_is_neither_forwarded_nor_logged()
    {
        var ticket = await CreateAsync("app");
        using (var socket = await ConnectAsync($"/e/app/socket?room=1&%74icket={ticket}&b=%20"))
        {
            Assert.Equal($";;{Origin}", await ReadAsync(socket));
            await socket.SendAsync("target"u8.ToArray(), WebSocketMessageType.Text, true, default);
            Assert.Equal("/socket?room=1&b=%20", await ReadAsync(socket));
        }

        Assert.Equal(401, await RefusedAsync($"/e/app/socket?ticket={ticket}"));
        Assert.DoesNotContain(ticket, gateway.Log.Text, StringComparison.Ordinal);

        ticket = await CreateAsync("app");
        var all = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => TryAsync($"/e/app/socket?ticket={ticket}")));
        Assert.Equal([101, .. Enumerable.Repeat(401, 7)], all.Order());
    }

    [Fact]
    public async Task A_ticket_does_not_open_anything_else()
    {
        Assert.Equal(401, await RefusedAsync("/e/app/socket"));
        Assert.Equal(401, await RefusedAsync($"/e/app/socket?ticket=slt_{new string('0', 48)}"));
        Assert.Equal(403, await RefusedAsync($"/e/other/socket?ticket={await CreateAsync("app")}"));
        var ticket = await CreateAsync("app");
        // On other routes, and without a handshake, it has no effect: it is not used either.
        foreach (var path in new[] { "/api/v1/pods", "/v1/models", "/api/v1/endpoints", "/v2/app/health" })
            Assert.Equal(401, await RefusedAsync($"{path}?ticket={ticket}"));
        using var anonymous = gateway.ClientFor(null);
        foreach (var upgrade in new[] { "h2c", "" })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"/e/app/page?ticket={ticket}");
            if (upgrade.Length > 0) request.Headers.Add("Upgrade", upgrade);
            using var answer = await anonymous.SendAsync(request);
            Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
        }

        using (await ConnectAsync($"/e/app/socket?ticket={ticket}"))
        {
            // It was still valid.
        }

        using var made = await anonymous.PostAsync("/api/v1/endpoints/open/tickets", null);
        Assert.Equal(HttpStatusCode.Unauthorized, made.StatusCode);
    }

    [Fact]
    public async Task A_ticket_expires_and_ends_with_its_key()
    {
        var ticket = await CreateAsync("app");
        var stored = $"sluice:{{tickets}}:socket:{ticket}";
        Assert.InRange((await gateway.Database.KeyTimeToLiveAsync(stored))!.Value.TotalSeconds, 0, 30);
        Assert.True(await gateway.Database.KeyExpireAsync(stored, TimeSpan.Zero));
        Assert.Equal(401, await RefusedAsync($"/e/app/socket?ticket={ticket}"));

        using var created = await gateway.Client.PostAsJsonAsync("/api/v1/keys",
            new { name = "page", invoke = new[] { "app" } });
        var key = (await created.Content.ReadFromJsonAsync<JsonObject>())!;
        using var client = gateway.ClientFor((string)key["key"]!);
        ticket = await CreateAsync("app", client);
        using (var refused = await client.PostAsync("/api/v1/endpoints/other/tickets", null))
            Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        using var revoked = await gateway.Client.DeleteAsync($"/api/v1/keys/{key["record"]!["id"]}");
        Assert.True(revoked.IsSuccessStatusCode);
        await Eventually.HoldsAsync(async () =>
        {
            using var answer = await client.GetAsync("/e/app/page");
            return answer.StatusCode == HttpStatusCode.Unauthorized;
        });
        Assert.Equal(401, await RefusedAsync($"/e/app/socket?ticket={ticket}"));
    }

    [Fact]
    public async Task A_page_of_another_origin_cannot_use_a_ticket()
    {
        var ticket = await CreateAsync("app");
        foreach (var origin in new[] { "https://evil.example.com", "null", Origin + "0", "https://app.example.com.x" })
            Assert.Equal(403, await RefusedAsync($"/e/app/socket?ticket={ticket}", origin));
        using (await ConnectAsync($"/e/app/socket?ticket={ticket}"))
        {
            // The refused pages have not used it.
        }

        ticket = await CreateAsync("app");
        using (await ConnectAsync($"/e/app/socket?ticket={ticket}", "https://app.example.com"))
        {
            // The policy of the endpoint allows it.
        }
    }

    [Fact]
    public async Task A_parameter_of_another_form_belongs_to_the_worker()
    {
        using var socket = await ConnectAsync("/e/open/socket?ticket=mine", "https://any.example.com");
        Assert.Equal(";;https://any.example.com", await ReadAsync(socket));
        await socket.SendAsync("target"u8.ToArray(), WebSocketMessageType.Text, true, default);
        Assert.Equal("/socket?ticket=mine", await ReadAsync(socket));
    }

    private async Task<string> CreateAsync(string endpoint, HttpClient? client = null)
    {
        using var answer = await (client ?? gateway.Client).PostAsync($"/api/v1/endpoints/{endpoint}/tickets", null);
        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        return (string)(await answer.Content.ReadFromJsonAsync<JsonObject>())!["ticket"]!;
    }

    /// <summary>Connects as a page of an origin, by default the gateway's own.</summary>
    private async Task<ClientWebSocket> ConnectAsync(string path, string? origin = null)
    {
        var socket = new ClientWebSocket();
        socket.Options.CollectHttpResponseDetails = true;
        socket.Options.SetRequestHeader("Origin", origin ?? Origin);
        using var limit = new CancellationTokenSource(Patience);
        try
        {
            await socket.ConnectAsync(new Uri(new UriBuilder(gateway.Url) { Scheme = "ws" }.Uri, path), limit.Token);
            return socket;
        }
        catch (WebSocketException e)
        {
            e.Data["status"] = (int)socket.HttpStatusCode;
            socket.Dispose();
            throw;
        }
    }

    private async Task<int> RefusedAsync(string path, string? origin = null)
    {
        var refusal = await Assert.ThrowsAsync<WebSocketException>(() => ConnectAsync(path, origin));
        return (int)refusal.Data["status"]!;
    }

    /// <summary>Returns the status of the response; 101 if the WebSocket was opened.</summary>
    private async Task<int> TryAsync(string path)
    {
        try
        {
            using var socket = await ConnectAsync(path);
            return (int)HttpStatusCode.SwitchingProtocols;
        }
        catch (WebSocketException e)
        {
            return (int)e.Data["status"]!;
        }
    }

    private static async Task<string> ReadAsync(ClientWebSocket socket)
    {
        var buffer = new byte[4096];
        using var limit = new CancellationTokenSource(Patience);
        var read = await socket.ReceiveAsync(buffer.AsMemory(), limit.Token);
        return Encoding.UTF8.GetString(buffer, 0, read.Count);
    }
}
