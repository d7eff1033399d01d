using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>
/// A gateway that runs user pods as processes. Pods of the template <c>web</c> are web applications that report what
/// they receive (see <c>WebApplicationStub</c>); those of <c>shell</c> run a command of the shell.
/// </summary>
public sealed class PodsGateway : IAsyncLifetime
{
    /// <summary>The first HTTP port of the pods.</summary>
    public const int Port = 8888;

    private IReadOnlyDictionary<string, string?> more = new Dictionary<string, string?>();
    private HttpMessageInvoker invoker = null!;

    public InProcessGateway Gateway { get; private set; } = null!;

    public HttpClient Client => Gateway.Client;

    /// <summary>Returns one with additional settings, as environment variables.</summary>
    public static PodsGateway With(IReadOnlyDictionary<string, string?> settings) => new() { more = settings };

    public async ValueTask InitializeAsync()
    {
        var settings = more.ToDictionary();
        settings["SLUICE_PROCESS_POD_TEMPLATES"] = "web,shell";
        Gateway = await InProcessGateway.StartAsync($$"""
            templates:
              - name: web
                command: ["{{Repository.StubWorker}}"]
                env: { STUB_POD: "1", DOTNET_TieredPGO: "0", DOTNET_gcServer: "0" }
                stopGrace: 10s
                pod: { ports: ["8888/http", "9999/http", "22/tcp"], volume: { path: /workspace } }
              - name: shell
                command: [/bin/sh, -c]
                stopGrace: 1s
                pod: { volume: { path: /workspace } }
              - { name: forbidden, command: [/bin/sh] }
            """, settings);
        // All host names of pods are this gateway's.
        invoker = new HttpMessageInvoker(new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            MaxResponseDrainSize = 0,
            ConnectCallback = async (_, ct) =>
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                try
                {
                    await socket.ConnectAsync(IPAddress.Loopback, Gateway.Url.Port, ct);
                    return new NetworkStream(socket, ownsSocket: true);
                }
                catch
                {
                    socket.Dispose();
                    throw;
                }
            },
        });
    }

    public async ValueTask DisposeAsync()
    {
        invoker?.Dispose();
        if (Gateway is not null) await Gateway.DisposeAsync();
    }

    /// <summary>Creates a pod, and returns its id.</summary>
    public async Task<string> CreateAsync(string body, HttpClient? client = null)
    {
        using var answer = await (client ?? Client).PostAsync("/api/v1/pods", new StringContent(body));
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == HttpStatusCode.Created, text);
        return (string)JsonNode.Parse(text)!["id"]!;
    }

    /// <summary>Creates a pod of the template <c>web</c>, and waits until it runs.</summary>
    public async Task<string> RunAsync(string more = "")
    {
        var pod = await CreateAsync($$"""{"name":"web","template":"web"{{more}}}""");
        await UntilAsync(pod, "RUNNING");
        return pod;
    }

    /// <summary>Waits until a pod has a status, and returns it.</summary>
    public Task<JsonObject> UntilAsync(string pod, string status) =>
        Gateway.UntilAsync($"/api/v1/pods/{pod}", p => (string?)p["status"] == status);

    /// <summary>Sends a request with a body, and returns its status and its answer.</summary>
    public async Task<(int Status, JsonObject Answer)> SendAsync(
        HttpMethod method, string path, string? body = null, HttpClient? client = null)
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null) request.Content = new StringContent(body);
        using var answer = await (client ?? Client).SendAsync(request);
        var text = await answer.Content.ReadAsStringAsync();
        return ((int)answer.StatusCode, text.Length > 0 ? JsonNode.Parse(text)!.AsObject() : []);
    }

    /// <summary>Does an action of Sluice's API, and returns the status.</summary>
    public async Task<int> ActAsync(string pod, string action) =>
        (await SendAsync(HttpMethod.Post, $"/api/v1/pods/{pod}/{action}")).Status;

    /// <summary>Creates a key, and returns its text and its id.</summary>
    public async Task<(string Key, string Id)> CreateKeyAsync(string body)
    {
        using var answer = await Client.PostAsync("/api/v1/keys", new StringContent(body));
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, text);
        var key = JsonNode.Parse(text)!;
        return ((string)key["key"]!, (string)key["record"]!["id"]!);
    }

    /// <summary>The origin of a pod's port.</summary>
    public string OriginOf(string pod, int port = Port) => $"http://{pod}-{port}.localhost:{Gateway.Url.Port}";

    /// <summary>Sends a request to a port of a pod, by its host name.</summary>
    /// <param name="pod">The pod.</param>
    /// <param name="path">The path and the query.</param>
    /// <param name="port">The port.</param>
    /// <param name="method">The method; null: GET.</param>
    /// <param name="body">The body; null: none.</param>
    /// <param name="headers">The headers of the request.</param>
    public async Task<PodAnswer> OpenAsync(string pod, string path, int port = Port, HttpMethod? method = null,
        string? body = null, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method ?? HttpMethod.Get, new Uri(OriginOf(pod, port) + path));
        if (body is not null) request.Content = new StringContent(body);
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        using var answer = await invoker.SendAsync(request, default);
        var text = await answer.Content.ReadAsStringAsync();
        return new PodAnswer((int)answer.StatusCode,
            answer.Headers.Concat(answer.Content.Headers).ToDictionary(h => h.Key, h => h.Value.ToArray()), text);
    }

    /// <summary>The header with the admin key.</summary>
    public (string Name, string Value) WithKey(string? key = null) => ("Authorization", $"Bearer {key ?? Gateway.Key}");

    /// <summary>Creates a link, opens it as a browser does, and returns the value of the header Cookie.</summary>
    public async Task<string> SignInAsync(string pod, string? key = null, int port = Port)
    {
        var answer = await RedeemAsync(pod, await TicketAsync(pod, key, port), port);
        Assert.True(answer.Status == 200, answer.Text);
        return Assert.Single(answer.Headers["Set-Cookie"]).Split(';')[0];
    }

    /// <summary>Creates a link, and returns its ticket.</summary>
    public async Task<string> TicketAsync(string pod, string? key = null, int port = Port)
    {
        using var client = Gateway.ClientFor(key ?? Gateway.Key);
        var (status, link) = await SendAsync(HttpMethod.Post, $"/api/v1/pods/{pod}/links?port={port}", null, client);
        Assert.True(status == 201, link.ToJsonString());
        var url = (string)link["url"]!;
        Assert.StartsWith(OriginOf(pod, port) + "/.sluice/open#", url, StringComparison.Ordinal);
        return url.Split('#')[1];
    }

    /// <summary>Sends the ticket of a link, as its page does.</summary>
    public Task<PodAnswer> RedeemAsync(string pod, string ticket, int port = Port, string? origin = null) =>
        OpenAsync(pod, "/.sluice/open", port, HttpMethod.Post,
            new JsonObject { ["ticket"] = ticket }.ToJsonString(),
            ("Origin", origin ?? OriginOf(pod, port)), ("Sec-Fetch-Site", "same-origin"));

    /// <summary>Opens a WebSocket of a pod. It throws if the handshake is refused.</summary>
    public async Task<ClientWebSocket> ConnectAsync(
        string pod, string[] protocols, params (string Name, string Value)[] headers)
    {
        var socket = new ClientWebSocket();
        foreach (var protocol in protocols) socket.Options.AddSubProtocol(protocol);
        foreach (var (name, value) in headers) socket.Options.SetRequestHeader(name, value);
        try
        {
            await socket.ConnectAsync(new Uri($"ws{OriginOf(pod)[4..]}/socket"), invoker, default);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public static async Task<string> ReceiveAsync(WebSocket socket)
    {
        var buffer = new byte[4096];
        var read = await socket.ReceiveAsync(buffer.AsMemory(), default).AsTask().WaitAsync(ChildProcess.Patience);
        return Encoding.UTF8.GetString(buffer, 0, read.Count);
    }
}

/// <summary>The answer to a request to a pod.</summary>
public sealed record PodAnswer(int Status, IReadOnlyDictionary<string, string[]> Headers, string Text)
{
    /// <summary>What the application reports about the request.</summary>
    public JsonObject Json => JsonNode.Parse(Text)!.AsObject();

    /// <summary>A header that the application received; null: none.</summary>
    public string? Received(string name) => (string?)Json["headers"]![name];
}
