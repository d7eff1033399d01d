using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Sluice.Cli;

/// <summary>
/// Calls the API of a gateway. Each response with an error, and each failure to connect, is a
/// <see cref="CliException"/> with the text of the gateway.
/// </summary>
internal sealed class GatewayClient : IDisposable
{
    private readonly HttpClient http;

    /// <param name="address">The URL of the gateway.</param>
    /// <param name="key">The API key; null: none is sent.</param>
    public GatewayClient(Uri address, string? key)
    {
        // A request may wait for a worker to start, and a log has no end.
        http = new HttpClient(new SocketsHttpHandler { ConnectTimeout = TimeSpan.FromSeconds(10) })
        {
            BaseAddress = address, Timeout = Timeout.InfiniteTimeSpan,
        };
        if (key is not null) http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
    }

    /// <summary>Returns the JSON of a response.</summary>
    public async Task<JsonObject> GetAsync(string path, CancellationToken ct) =>
        await SendAsync(HttpMethod.Get, path, null, ct) ?? [];

    /// <summary>Sends JSON, and returns the JSON of the response; null if it is empty.</summary>
    public async Task<JsonObject?> SendAsync(HttpMethod method, string path, JsonNode? body, CancellationToken ct)
    {
        var text = await TextAsync(method, path, body, ct);
        if (text.Length == 0) return null;
        try
        {
            return JsonNode.Parse(text) as JsonObject ?? new JsonObject { ["value"] = JsonNode.Parse(text) };
        }
        catch (JsonException)
        {
            throw new CliException($"{http.BaseAddress} returned no JSON for {path}; expected a gateway of Sluice",
                ExitCodes.NoResponse);
        }
    }

    /// <summary>Returns the text of a response.</summary>
    public async Task<string> TextAsync(HttpMethod method, string path, JsonNode? body, CancellationToken ct)
    {
        using var response = await RequestAsync(method, path, body, ct);
        return await ReadAsync(response, ct);
    }

    /// <summary>Returns the events of a stream as their names and data.</summary>
    public async IAsyncEnumerable<(string Event, string Data)> EventsAsync(
        HttpMethod method, string path, JsonNode? body, [EnumeratorCancellation] CancellationToken ct)
    {
        using var response = await RequestAsync(method, path, body, ct);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(ct));
        var (name, data) = ("message", new StringBuilder());
        while (await ReadLineAsync(reader, ct) is { } line)
        {
            if (line.Length == 0)
            {
                if (data.Length > 0) yield return (name, data.ToString());
                (name, data) = ("message", new StringBuilder());
            }
            else if (line.StartsWith("event:", StringComparison.Ordinal)) name = line[6..].Trim();
            else if (line.StartsWith("data:", StringComparison.Ordinal))
                data.Append(data.Length > 0 ? "\n" : "").Append(line[5..].StartsWith(' ') ? line[6..] : line[5..]);
        }

        if (data.Length > 0) yield return (name, data.ToString());
    }

    public void Dispose() => http.Dispose();

    private async Task<string> ReadAsync(HttpResponseMessage response, CancellationToken ct)
    {
        try
        {
            return await response.Content.ReadAsStringAsync(ct);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw new CliException($"the response of {http.BaseAddress} ended: {e.Message}", ExitCodes.NoResponse);
        }
    }

    private async Task<string?> ReadLineAsync(StreamReader reader, CancellationToken ct)
    {
        try
        {
            return await reader.ReadLineAsync(ct);
        }
        catch (IOException e)
        {
            throw new CliException($"the stream from {http.BaseAddress} ended: {e.Message}", ExitCodes.NoResponse);
        }
    }

    private async Task<HttpResponseMessage> RequestAsync(
        HttpMethod method, string path, JsonNode? body, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(method, new Uri(path, UriKind.Relative));
        if (body is not null)
            request.Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json");
        HttpResponseMessage response;
        try
        {
            response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
        }
        catch (Exception e) when (e is HttpRequestException or SocketException or IOException
            || (e is OperationCanceledException && !ct.IsCancellationRequested))
        {
            throw new CliException($"{http.BaseAddress} does not respond: {e.Message}. "
                + "Set SLUICE_URL or --url to the URL of the gateway.", ExitCodes.NoResponse);
        }

        if (response.IsSuccessStatusCode) return response;
        using (response)
            throw new CliException(Describe(response, await ReadAsync(response, ct)), ExitCodes.Refused);
    }

    /// <summary>Returns the error of a response: each invalid field on its own line, or the text.</summary>
    private static string Describe(HttpResponseMessage response, string body)
    {
        var status = $"{(int)response.StatusCode} {response.ReasonPhrase}";
        JsonNode? json;
        try
        {
            json = JsonNode.Parse(body);
        }
        catch (JsonException)
        {
            return $"{status}: {body}";
        }

        if (json?["errors"] is JsonArray { Count: > 0 } errors)
            return string.Join('\n', errors.Select(e => DescribeField(e!)));
        var text = json?["detail"] ?? json?["error"]?["message"] ?? json?["error"] ?? json?["message"];
        return $"{status}: {text?.ToString() ?? body}";
    }

    private static string DescribeField(JsonNode error)
    {
        var (line, value) = ((int?)error["line"] ?? 0, (string?)error["value"] ?? "");
        return (line > 0 ? $"line {line}: " : "") + (value.Length > 0
            ? $"{error["field"]} is {value}; expected {error["expected"]}"
            : $"{error["field"]}: expected {error["expected"]}");
    }
}
