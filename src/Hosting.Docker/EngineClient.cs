using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;

namespace Sluice.Hosting.Docker;

/// <summary>
/// Client of a Docker daemon's Engine API: one method for each call, no decisions. It connects to the daemon's unix
/// socket, or over HTTP to a proxy. Every failure is an <see cref="EngineException"/>.
/// </summary>
public sealed class EngineClient : IDisposable
{
    /// <summary>Newest supported API version. Docker 29 accepts no version older than 1.44.</summary>
    private static readonly Version Newest = new(1, 44);

    /// <summary>Oldest supported API version: the first one with device requests, of Docker 19.03.</summary>
    private static readonly Version Oldest = new(1, 40);

    /// <summary>
    /// Time limit of calls that respond immediately. Creating a container on a slow disk under load takes seconds.
    /// </summary>
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

    /// <summary>Creates a container and returns its id. Status 409: the name is in use.</summary>
    public async Task<string> CreateAsync(string name, JsonObject body, CancellationToken ct) =>
        (string)(await CallAsync(HttpMethod.Post, $"containers/create?name={name}", body, ct))!["Id"]!;

    /// <summary>Starts a container. The call has no effect if the container already runs.</summary>
    public Task StartAsync(string container, CancellationToken ct) =>
        CallAsync(HttpMethod.Post, $"containers/{container}/start", null, ct);

    /// <summary>Returns a container's details, or null if there is no such container.</summary>
    public async Task<ContainerInfo?> InspectAsync(string container, CancellationToken ct) =>
        await NullWhenMissing(CallAsync(HttpMethod.Get, $"containers/{container}/json", null, ct)) is { } found
            ? found.Deserialize(EngineJson.Default.ContainerInfo) : null;

    /// <summary>
    /// Returns what a container uses now, or null if there is no such container. Daemons with an API older than 1.41 do
    /// not know <c>one-shot</c>, and respond after their next measurement.
    /// </summary>
    public async Task<ContainerStats?> StatsAsync(string container, CancellationToken ct) =>
        await NullWhenMissing(CallAsync(
            HttpMethod.Get, $"containers/{container}/stats?stream=false&one-shot=true", null, ct)) is { } found
            ? found.Deserialize(EngineJson.Default.ContainerStats) : null;

    /// <summary>Waits until a container has stopped, and returns its exit code.</summary>
    public async Task<int> WaitAsync(string container, CancellationToken ct)
    {
        using var answer = await SendAsync(HttpMethod.Post, $"containers/{container}/wait", null, null, ct);
        return (int)(await ReadAsync(answer, ct))!["StatusCode"]!;
    }

    /// <summary>
    /// Returns a container's output in frames (see <see cref="LogFrames"/>), each line with its time. With <paramref
    /// name="follow"/> the stream stays open until the container stops.
    /// </summary>
    public async Task<Stream> LogsAsync(string container, string since, int tail, bool follow, CancellationToken ct)
    {
        var lines = tail > 0 ? tail.ToString(CultureInfo.InvariantCulture) : "all";
        var what = $"stdout=1&stderr=1&timestamps=1&since={since}&tail={lines}";
        var path = $"containers/{container}/logs?follow={(follow ? 1 : 0)}&{what}";
        var answer = await WithinAsync(c => SendAsync(HttpMethod.Get, path, null, null, c), ct);
        return await answer.Content.ReadAsStreamAsync(ct);
    }

    /// <summary>Sends a signal. The call has no effect if the container has stopped or does not exist.</summary>
    public async Task SignalAsync(string container, string signal, CancellationToken ct)
    {
        try
        {
            await CallAsync(HttpMethod.Post, $"containers/{container}/kill?signal={signal}", null, ct);
        }
        catch (EngineException e) when (e.Status is HttpStatusCode.NotFound or HttpStatusCode.Conflict)
        {
            // The container has stopped already.
        }
    }

    /// <summary>
    /// Kills a container and removes it with its volumes. The call has no effect if it does not exist or is being
    /// removed.
    /// </summary>
    public async Task RemoveAsync(string container, CancellationToken ct)
    {
        try
        {
            await CallAsync(HttpMethod.Delete, $"containers/{container}?force=1&v=1", null, ct);
        }
        catch (EngineException e) when (e.Status is HttpStatusCode.NotFound or HttpStatusCode.Conflict)
        {
            // The container does not exist, or "removal is already in progress".
        }
    }

    /// <summary>
    /// Returns the id of the daemon, which it keeps over restarts.
    /// </summary>
    public async Task<string> DaemonIdAsync(CancellationToken ct) =>
        (string?)(await CallAsync(HttpMethod.Get, "info", null, ct))?["ID"]
        ?? throw new EngineException("the Docker daemon reports no id", HttpStatusCode.OK);

    /// <summary>
    /// Creates a bridge network whose containers cannot connect to each other, unless it exists. Docker checks for
    /// duplicates only at its best effort, and rejects a name that two networks have. So of concurrent creations all
    /// but one are deleted: the oldest one stays, or one that has containers.
    /// </summary>
    public async Task EnsureIsolatedNetworkAsync(string name, CancellationToken ct)
    {
        var found = await FindNetworksAsync(name, ct);
        if (found.Count == 0)
        {
            var body = new JsonObject
            {
                ["Name"] = name,
                ["CheckDuplicate"] = true,
                ["Driver"] = "bridge",
                ["Options"] = new JsonObject { ["com.docker.network.bridge.enable_icc"] = "false" },
            };
            try
            {
                await CallAsync(HttpMethod.Post, "networks/create", body, ct);
            }
            catch (EngineException e) when (e.Status == HttpStatusCode.Conflict)
            {
                // Another gateway has created it.
            }

            found = await FindNetworksAsync(name, ct);
        }

        var kept = found.Count > 0 ? found[0] : "";
        foreach (var duplicate in found.Skip(1))
        {
            if (await TryDeleteNetworkAsync(duplicate, ct)) continue;
            await TryDeleteNetworkAsync(kept, ct);
            kept = duplicate;
        }
    }

    /// <summary>Deletes a network. Returns false if it has containers.</summary>
    private async Task<bool> TryDeleteNetworkAsync(string id, CancellationToken ct)
    {
        try
        {
            await NullWhenMissing(CallAsync(HttpMethod.Delete, $"networks/{id}", null, ct));
            return true;
        }
        catch (EngineException e) when (e.Status is HttpStatusCode.Forbidden or HttpStatusCode.Conflict)
        {
            return false;
        }
    }

    /// <summary>Returns the ids of the networks with a name, the oldest first.</summary>
    private async Task<IReadOnlyList<string>> FindNetworksAsync(string name, CancellationToken ct)
    {
        // The filter also finds names that contain it.
        var filters = new JsonObject { ["name"] = new JsonArray(name) }.ToJsonString();
        var found = await CallAsync(
            HttpMethod.Get, $"networks?filters={Uri.EscapeDataString(filters)}", null, ct);
        return
        [
            .. found!.AsArray().Where(n => (string?)n!["Name"] == name)
                .OrderBy(n => (string?)n!["Created"], StringComparer.Ordinal)
                .ThenBy(n => (string?)n!["Id"], StringComparer.Ordinal)
                .Select(n => (string)n!["Id"]!),
        ];
    }

    /// <summary>Whether a volume exists.</summary>
    public async Task<bool> VolumeExistsAsync(string name, CancellationToken ct) =>
        await NullWhenMissing(CallAsync(HttpMethod.Get, $"volumes/{name}", null, ct)) is not null;

    /// <summary>Deletes a volume. The call has no effect if it does not exist.</summary>
    public Task RemoveVolumeAsync(string name, CancellationToken ct) =>
        NullWhenMissing(CallAsync(HttpMethod.Delete, $"volumes/{name}", null, ct));

    /// <summary>Lists the containers with a label, stopped ones included.</summary>
    public Task<IReadOnlyList<ContainerSummary>> ListAsync(string label, string value, CancellationToken ct) =>
        ListAsync($"{label}={value}", ct);

    /// <summary>Lists the containers with a label, <c>name</c> or <c>name=value</c>, stopped ones included.</summary>
    public async Task<IReadOnlyList<ContainerSummary>> ListAsync(string label, CancellationToken ct)
    {
        var filters = new JsonObject { ["label"] = new JsonArray(label) }.ToJsonString();
        var path = $"containers/json?all=1&filters={Uri.EscapeDataString(filters)}";
        var found = await CallAsync(HttpMethod.Get, path, null, ct);
        return found!.Deserialize(EngineJson.Default.ContainerSummaryArray)!;
    }

    /// <summary>Returns the id of the image that currently has this name, or null if there is none.</summary>
    public async Task<string?> ImageIdAsync(string image, CancellationToken ct) =>
        (string?)(await NullWhenMissing(CallAsync(HttpMethod.Get, $"images/{InPath(image)}/json", null, ct)))?["Id"];

    /// <summary>
    /// Returns the paths that an image declares as volumes. The daemon creates a volume for each of them in a
    /// container, unless something else is mounted there.
    /// </summary>
    public async Task<IReadOnlyList<string>> ImageVolumesAsync(string image, CancellationToken ct)
    {
        var found = await NullWhenMissing(CallAsync(HttpMethod.Get, $"images/{InPath(image)}/json", null, ct));
        return found?["Config"]?["Volumes"] is JsonObject volumes ? [.. volumes.Select(v => v.Key)] : [];
    }

    /// <summary>Pulls an image, and returns a stream of JSON lines that report the progress.</summary>
    public async Task<Stream> PullAsync(ImageName image, string? credentials, CancellationToken ct)
    {
        var (repository, tag) = (Uri.EscapeDataString(image.Repository), Uri.EscapeDataString(image.Tag));
        var path = $"images/create?fromImage={repository}&tag={tag}";
        // The daemon sends its response headers once the registry has responded.
        var answer = await WithinAsync(c => SendAsync(HttpMethod.Post, path, null, credentials, c), ct);
        return await answer.Content.ReadAsStreamAsync(ct);
    }

    public void Dispose() => http.Dispose();

    /// <summary>Escapes an image name for a path. The daemon expects slashes unescaped.</summary>
    private static string InPath(string image) =>
        Uri.EscapeDataString(image).Replace("%2F", "/", StringComparison.Ordinal);

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

    private Task<JsonNode?> CallAsync(HttpMethod method, string path, JsonObject? body, CancellationToken ct) =>
        WithinAsync(async c =>
        {
            using var answer = await SendAsync(method, path, body, null, c);
            return await ReadAsync(answer, c);
        }, ct);

    /// <summary>Applies the time limit to a call, including the read of its response body.</summary>
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
            throw new EngineException(
                $"the Docker daemon at {shown} did not answer within {AnswerWithin.TotalSeconds:0} s", null, e);
        }
    }

    private async Task<HttpResponseMessage> SendAsync(
        HttpMethod method,
        string path,
        JsonObject? body,
        string? credentials,
        CancellationToken ct)
    {
        try
        {
            version ??= await NegotiateAsync(ct);
            // A path without a version selects the daemon's newest API version.
            using var request = new HttpRequestMessage(method, version is { } known ? $"v{known}/{path}" : path);
            if (body is not null)
                request.Content = new StringContent(
                    body.ToJsonString(), MediaTypeHeaderValue.Parse("application/json"));
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

    /// <summary>
    /// Returns the newest API version that the daemon and this client support. Null: the answer names no version,
    /// because a proxy sent it. It may be a temporary error of the proxy, so the next call negotiates again.
    /// </summary>
    private async Task<string?> NegotiateAsync(CancellationToken ct)
    {
        using var answer = await http.GetAsync(new Uri("_ping", UriKind.Relative), ct);
        if (!answer.Headers.TryGetValues("Api-Version", out var values)
            || !Version.TryParse(values.First(), out var newest)) return null;
        if (newest < Oldest)
            throw new EngineException(
                $"the API version of the Docker daemon at {shown} is '{newest}'; "
                + $"expected {Oldest} (Docker 19.03) or newer",
                answer.StatusCode);
        return (newest < Newest ? newest : Newest).ToString();
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
        // The daemon may have another version after a restart.
        version = null;
        var socket = e.InnerException as SocketException ?? e.GetBaseException() as SocketException;
        return new EngineException(socket?.SocketErrorCode == SocketError.AccessDenied
            ? $"the gateway's user has no access to the Docker daemon's socket {shown}: "
                + "add the user to the socket's group"
            : $"no Docker daemon answers at {shown} ({(socket ?? e).Message})", null, e);
    }

    private static EngineException Refusal(HttpStatusCode status, string body)
    {
        var message = body.Trim();
        try
        {
            message = (string?)JsonNode.Parse(body)?["message"] ?? message;
        }
        catch (JsonException)
        {
            // A proxy responded, with a body that is not JSON.
        }

        return new EngineException(message.Length > 0 ? message : $"the Docker daemon answered {(int)status}", status);
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
