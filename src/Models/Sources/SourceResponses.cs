using System.Net;
using System.Text.Json;
using Sluice.Models.Downloads;

namespace Sluice.Models.Sources;

/// <summary>Reads the lists of files that servers of models send.</summary>
internal static class SourceResponses
{
    /// <summary>The largest list of files. One of 10,000 files has about 3 MB.</summary>
    public const int MaxBytes = 16 << 20;

    /// <summary>The longest time for a list of files.</summary>
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);

    /// <summary>Sends a request and returns the JSON of its response. The caller disposes it.</summary>
    /// <exception cref="ModelFailureException">The server sent no such JSON.</exception>
    public static async Task<JsonDocument> ReadJsonAsync(
        HttpClient http, HttpRequestMessage request, string what, CancellationToken ct)
    {
        var bytes = await ReadAsync(http, request, what, ct);
        try
        {
            return JsonDocument.Parse(bytes);
        }
        catch (JsonException e)
        {
            throw new ModelFailureException($"{request.RequestUri!.Host} sent invalid JSON for {what}: {e.Message}", e);
        }
    }

    /// <summary>Sends a request and returns the body of its response.</summary>
    /// <exception cref="ModelFailureException">The server cannot be reached, or refuses the request.</exception>
    public static async Task<byte[]> ReadAsync(
        HttpClient http, HttpRequestMessage request, string what, CancellationToken ct)
    {
        var host = request.RequestUri!.Host;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(Timeout);
        try
        {
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
            if (response.IsSuccessStatusCode) return await ReadBodyAsync(response, what, limit.Token);
            throw new ModelFailureException($"{host} answered {(int)response.StatusCode} {response.ReasonPhrase} for "
                + what + Advice(response.StatusCode));
        }
        catch (Exception e) when (e is HttpRequestException or HttpIOException
            || (e is OperationCanceledException && !ct.IsCancellationRequested))
        {
            throw new ModelFailureException($"{what} cannot be read from {host}: {e.Message}", e);
        }
    }

    private static async Task<byte[]> ReadBodyAsync(HttpResponseMessage response, string what, CancellationToken ct)
    {
        await using var body = await response.Content.ReadAsStreamAsync(ct);
        var content = new MemoryStream();
        var buffer = new byte[64 << 10];
        while (await body.ReadAsync(buffer, ct) is var n and > 0)
        {
            content.Write(buffer, 0, n);
            if (content.Length > MaxBytes)
                throw new ModelFailureException($"the response for {what} has more than {MaxBytes} bytes");
        }

        return content.ToArray();
    }

    private static string Advice(HttpStatusCode status) => status switch
    {
        HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => "; expected valid credentials of the gateway",
        HttpStatusCode.NotFound => "; expected an existing name and revision",
        _ => "",
    };
}
