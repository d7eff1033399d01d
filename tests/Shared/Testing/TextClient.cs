using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Xunit;

namespace Sluice.Testing;

/// <summary>A client of streams of the OpenAI API that verifies their form.</summary>
public static class TextClient
{
    /// <summary>Sends a request for a streamed chat, and reads it to its end.</summary>
    /// <param name="client">A client of a gateway.</param>
    /// <param name="request">The request, with <c>include_usage</c>.</param>
    /// <param name="onEvent">Called after each event with text, with the worker that began the stream.</param>
    /// <param name="ct">Leaves the stream.</param>
    public static async Task<StreamedText> SendAsync(
        HttpClient client, JsonNode request, Func<string, Task>? onEvent = null, CancellationToken ct = default)
    {
        using var message = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent(request.ToJsonString(), Encoding.UTF8, "application/json"),
        };
        using var response = await client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, ct);
        if (response.StatusCode != HttpStatusCode.OK) Assert.Fail(await response.Content.ReadAsStringAsync(ct));
        var worker = response.Headers.GetValues("X-Sluice-Worker").Single();
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(ct));
        var (text, events, ids, roles, ends, usage) = (new StringBuilder(), 0, new HashSet<string>(), 0, 0, "");
        while (true)
        {
            var line = await reader.ReadLineAsync(ct);
            Assert.NotNull(line);
            Assert.Equal("", await reader.ReadLineAsync(ct));
            if (line == "data: [DONE]") break;
            Assert.StartsWith("data: ", line, StringComparison.Ordinal);
            var json = JsonNode.Parse(line["data: ".Length..])!;
            Assert.True(json["error"] is null, line);
            ids.Add($"{json["id"]} {json["created"]}");
            if (json["usage"] is { } counted) usage = $"{counted["prompt_tokens"]} {counted["completion_tokens"]}";
            if (json["choices"]!.AsArray() is not [var choice]) continue;
            if (choice!["delta"]!["role"] is not null) roles++;
            if (choice["finish_reason"] is not null) ends++;
            if ((string?)choice["delta"]!["content"] is not { Length: > 0 } piece) continue;
            text.Append(piece);
            events++;
            if (onEvent is not null) await onEvent(worker);
        }

        Assert.Null(await reader.ReadLineAsync(ct));
        Assert.Equal((1, 1, 1), (ids.Count, roles, ends));
        return new StreamedText(text.ToString(), events, usage);
    }
}

/// <summary>A streamed text.</summary>
/// <param name="Text">The text.</param>
/// <param name="Events">Number of events with text.</param>
/// <param name="Usage">The tokens of the prompt and of the text.</param>
public sealed record StreamedText(string Text, int Events, string Usage);
