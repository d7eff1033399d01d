using System.Diagnostics;
using System.Net.Http.Json;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json.Nodes;

namespace Sluice.Scenarios.Generation;

/// <summary>
/// Requests streams of completions from a server with OpenAI's API, and takes the times of their tokens.
/// </summary>
/// <param name="client">Its base address is the server.</param>
/// <param name="model">Name of the model.</param>
internal sealed class TokenStreams(HttpClient client, string model)
{
    /// <summary>Requests one text per prompt, all at once, and waits for all of them.</summary>
    /// <param name="prompts">The prompts.</param>
    /// <param name="count">Number of tokens of each text.</param>
    /// <param name="ct">Cancels the streams.</param>
    public async Task<StreamTimes> RunAsync(int[][] prompts, int count, CancellationToken ct)
    {
        var began = Stopwatch.GetTimestamp();
        var streams = await Task.WhenAll(prompts.Select(p => ReadAsync(p, count, ct)));
        return new StreamTimes(streams, Stopwatch.GetElapsedTime(began));
    }

    /// <summary>Requests one text.</summary>
    /// <returns>The time from the request to each token.</returns>
    public async Task<TimeSpan[]> ReadAsync(int[] prompt, int count, CancellationToken ct)
    {
        var times = new List<TimeSpan>(count);
        var began = Stopwatch.GetTimestamp();
        await foreach (var _ in EventsAsync(prompt, count, ct)) times.Add(Stopwatch.GetElapsedTime(began));
        return [.. times];
    }

    /// <summary>Requests one text and returns it.</summary>
    public async Task<string> TextAsync(int[] prompt, int count, CancellationToken ct)
    {
        var text = new StringBuilder();
        await foreach (var data in EventsAsync(prompt, count, ct))
            text.Append((string?)JsonNode.Parse(data)!["choices"]![0]!["text"]);
        return text.ToString();
    }

    private async IAsyncEnumerable<string> EventsAsync(
        int[] prompt,
        int count,
        [EnumeratorCancellation] CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = JsonContent.Create(new JsonObject
            {
                ["model"] = model,
                ["prompt"] = new JsonArray([.. prompt.Select(t => JsonValue.Create(t))]),
                ["max_tokens"] = count,
                ["temperature"] = 0,
                ["ignore_eos"] = true,
                ["stream"] = true,
            }),
        };
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
        if (!response.IsSuccessStatusCode)
            throw new InvalidOperationException(
                $"{client.BaseAddress} answered {response.StatusCode}: {await response.Content.ReadAsStringAsync(ct)}");
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync(ct));
        while (await lines.ReadLineAsync(ct) is { } line)
        {
            if (!line.StartsWith("data: {", StringComparison.Ordinal)) continue;
            if (line.Contains("\"error\"", StringComparison.Ordinal)) throw new InvalidOperationException(line);
            yield return line["data: ".Length..];
        }
    }
}
