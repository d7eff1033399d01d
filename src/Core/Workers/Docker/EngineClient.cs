using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Workers.Docker;

/// <summary>
/// A Docker daemon's Engine API: one method a call, no decisions. Over its unix socket, or over HTTP where a proxy stands before it.
/// Every failure is an <see cref="EngineException"/>.
/// </summary>
public sealed class EngineClient : IDisposable
{
    /// <summary>Newest version that this was written for. Docker 29 speaks no older one than 1.44.</summary>
    private static readonly Version Newest = new(1, 44);

    /// <summary>The first one with device requests, of Docker 19.03.</summary>
    private static readonly Version Oldest = new(1, 40);

    /// <summary>For calls that should answer at once; creating on a slow disk under load takes seconds.</summary>
    private static readonly TimeSpan AnswerWithin = TimeSpan.FromSeconds(60);

    private readonly HttpClient http;
    private readonly string shown;
    private readonly TimeProvider time;
    private volatile string? version;

    public EngineClient(Uri daemon, TimeProvider time)
    {
        this.time = time;
        shown = daemon.Scheme == "unix" ? daemon.AbsolutePath : daemon.OriginalString;
        var handler = new SocketsHttpHandler { UseProxy = false, ConnectTimeout = TimeSpan.FromSeconds(5) };
        if (daemon.Scheme == "unix") handler.ConnectCallback = (_, ct) => ConnectAsync(daemon.AbsolutePath, ct);
        http = new HttpClient(handler)
        {
            BaseAddress = daemon.Scheme == "unix" ? new Uri("http://docker/") : new Uri($"http://{daemon.Authority}/"),
            Timeout = Timeout.InfiniteTimeSpan,
        };
    }

    /// <summary>Makes a container; its id. 409: the name is taken.</summary>
    public async Task<string> CreateAsync(string name, JsonObject body, CancellationToken ct) =>
        (string)(await CallAsync(HttpMethod.Post, $"containers/create?name={name}", body, ct))!["Id"]!;

    /// <summary>Starts it; nothing happens when it runs.</summary>
    public Task StartAsync(string container, CancellationToken ct) => CallAsync(HttpMethod.Post, $"containers/{container}/start", null, ct);

    /// <summary>Null: there is none.</summary>
    public async Task<ContainerInfo?> InspectAsync(string container, CancellationToken ct) =>
        await NullWhenMissing(CallAsync(HttpMethod.Get, $"containers/{container}/json", null, ct)) is { } found
            ? found.Deserialize(EngineJson.Default.ContainerInfo) : null;

    /// <summary>Waits until it runs no more; its exit code.</summary>
    public async Task<int> WaitAsync(string container, CancellationToken ct)
    {
        using var answer = await SendAsync(HttpMethod.Post, $"containers/{container}/wait", null, null, ct);
        return (int)(await ReadAsync(answer, ct))!["StatusCode"]!;
    }

    /// <summary>What it wrote, framed (see <see cref="LogFrames"/>), each line with its time; with <paramref name="follow"/> it goes on until the
    /// container ends.</summary>
    public async Task<Stream> LogsAsync(string container, string since, int tail, bool follow, CancellationToken ct)
    {
        var lines = tail > 0 ? tail.ToString(CultureInfo.InvariantCulture) : "all";
        var what = $"stdout=1&stderr=1&timestamps=1&since={since}&tail={lines}";
        var answer = await WithinAsync(c => SendAsync(HttpMethod.Get, $"containers/{container}/logs?follow={(follow ? 1 : 0)}&{what}", null, null, c), ct);
        return await answer.Content.ReadAsStreamAsync(ct);
    }

    /// <summary>Sends a signal; nothing happens when it runs no more, or is gone.</summary>
    public async Task SignalAsync(string container, string signal, CancellationToken ct)
    {
        try
        {
            await CallAsync(HttpMethod.Post, $"containers/{container}/kill?signal={signal}", null, ct);
        }
        catch (EngineException e) when (e.Status is HttpStatusCode.NotFound or HttpStatusCode.Conflict)
        {
            // It ended meanwhile.
        }
    }

    /// <summary>Kills and removes it with its volumes; nothing happens when it is gone, or on its way.</summary>
    public async Task RemoveAsync(string container, CancellationToken ct)
    {
        try
        {
            await CallAsync(HttpMethod.Delete, $"containers/{container}?force=1&v=1", null, ct);
        }
        catch (EngineException e) when (e.Status is HttpStatusCode.NotFound or HttpStatusCode.Conflict)
        {
            // Gone, or "removal is already in progress".
        }
    }

    /// <summary>Containers with a label, those that ended too.</summary>
    public async Task<IReadOnlyList<ContainerSummary>> ListAsync(string label, string value, CancellationToken ct)
    {
        var filters = new JsonObject { ["label"] = new JsonArray($"{label}={value}") }.ToJsonString();
        var found = await CallAsync(HttpMethod.Get, $"containers/json?all=1&filters={Uri.EscapeDataString(filters)}", null, ct);
        return found!.Deserialize(EngineJson.Default.ContainerSummaryArray)!;
    }

    /// <summary>The id of what has this name now; null: nothing has.</summary>
    public async Task<string?> ImageIdAsync(string image, CancellationToken ct) =>
        (string?)(await NullWhenMissing(CallAsync(HttpMethod.Get, $"images/{InPath(image)}/json", null, ct)))?["Id"];

    /// <summary>Folders that an image declares to be volumes: its containers get one of the daemon's for each, unless something else is mounted there.</summary>
    public async Task<IReadOnlyList<string>> ImageVolumesAsync(string image, CancellationToken ct)
    {
        var found = await NullWhenMissing(CallAsync(HttpMethod.Get, $"images/{InPath(image)}/json", null, ct));
        return found?["Config"]?["Volumes"] is JsonObject volumes ? [.. volumes.Select(v => v.Key)] : [];
    }

    /// <summary>Pulls an image: lines of JSON that tell how it goes.</summary>
    public async Task<Stream> PullAsync(ImageName image, string? credentials, CancellationToken ct)
    {
        var path = $"images/create?fromImage={Uri.EscapeDataString(image.Repository)}&tag={Uri.EscapeDataString(image.Tag)}";
        // The daemon begins to answer when the registry did.
        var answer = await WithinAsync(c => SendAsync(HttpMethod.Post, path, null, credentials, c), ct);
        return await answer.Content.ReadAsStreamAsync(ct);
    }

    public void Dispose() => http.Dispose();

    /// <summary>The daemon takes the slashes of a name as they are.</summary>
    private static string InPath(string image) => Uri.EscapeDataString(image).Replace("%2F", "/", StringComparison.Ordinal);

    private static async Task<JsonNode?> NullWhenMissing(Task<JsonNode?> call)
    {
        try
        {
            return await call;
        }
        catch (EngineException e) when (e.Status == HttpStatusCode.NotFound)
        {
            return null;
        }
    }

    private Task<JsonNode?> CallAsync(HttpMethod method, string path, JsonObject? body, CancellationToken ct) => WithinAsync(async c =>
    {
        using var answer = await SendAsync(method, path, body, null, c);
        return await ReadAsync(answer, c);
    }, ct);

    /// <summary>Gives a call its time, an answer's body included.</summary>
    private async Task<T> WithinAsync<T>(Func<CancellationToken, Task<T>> call, CancellationToken ct)
    {
        using var limit = new CancellationTokenSource(AnswerWithin, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(ct, limit.Token);
        try
        {
            return await call(both.Token);
        }
        catch (OperationCanceledException e) when (!ct.IsCancellationRequested)
        {
            throw new EngineException($"the Docker daemon at {shown} did not answer within {AnswerWithin.TotalSeconds:0} s", null, e);
        }
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, JsonObject? body, string? credentials, CancellationToken ct)
    {
        try
        {
            version ??= await NegotiateAsync(ct);
            using var request = new HttpRequestMessage(method, $"v{version}/{path}");
            if (body is not null) request.Content = new StringContent(body.ToJsonString(), MediaTypeHeaderValue.Parse("application/json"));
            if (credentials is not null) request.Headers.Add("X-Registry-Auth", credentials);
            var answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
            if (answer.IsSuccessStatusCode || answer.StatusCode == HttpStatusCode.NotModified) return answer;
            using (answer) throw Refusal(answer.StatusCode, await answer.Content.ReadAsStringAsync(ct));
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw Down(e);
        }
    }

    private async Task<string> NegotiateAsync(CancellationToken ct)
    {
        using var answer = await http.GetAsync(new Uri("_ping", UriKind.Relative), ct);
        var told = answer.Headers.TryGetValues("Api-Version", out var values) && Version.TryParse(values.First(), out var v) ? v : Oldest;
        if (told < Oldest)
            throw new EngineException($"the Docker daemon at {shown} speaks API {told}, Sluice needs {Oldest} (Docker 19.03) or newer", answer.StatusCode);
        return (told < Newest ? told : Newest).ToString();
    }

    private async Task<JsonNode?> ReadAsync(HttpResponseMessage answer, CancellationToken ct)
    {
        try
        {
            var text = await answer.Content.ReadAsByteArrayAsync(ct);
            return text.Length > 0 && text[0] is (byte)'{' or (byte)'[' ? JsonNode.Parse(text) : null;
        }
        catch (Exception e) when (e is HttpRequestException or IOException or JsonException)
        {
            throw Down(e);
        }
    }

    private EngineException Down(Exception e)
    {
        // The one that comes back may be of another version.
        version = null;
        var socket = e.InnerException as SocketException ?? e.GetBaseException() as SocketException;
        return new EngineException(socket?.SocketErrorCode == SocketError.AccessDenied
            ? $"the gateway's user may not use the Docker daemon's socket {shown}: add it to the socket's group"
            : $"no Docker daemon answers at {shown} ({(socket ?? e).Message})", null, e);
    }

    private static EngineException Refusal(HttpStatusCode status, string body)
    {
        var said = body.Trim();
        try
        {
            said = (string?)JsonNode.Parse(body)?["message"] ?? said;
        }
        catch (JsonException)
        {
            // A proxy's words.
        }

        return new EngineException(said.Length > 0 ? said : $"the Docker daemon answered {(int)status}", status);
    }

    private static async ValueTask<Stream> ConnectAsync(string path, CancellationToken ct)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), ct);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
