using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;

/// <summary>
/// Streams chat completions without a model: <c>max_tokens</c> tokens, one each <c>interval_ms</c> of the request, the
/// first one immediately. Each token is the time at which it was sent, a timestamp of the machine's monotonic clock, so
/// that a client on the machine knows how long it was on its way. With <c>marks</c>, the stream has the marks of the
/// built-in worker, with which another worker can continue it.
/// </summary>
internal static class TokenClock
{
    private const string Header = "X-Sluice-Resume";

    public static async Task HandleAsync(HttpContext context)
    {
        var body = (await JsonNode.ParseAsync(context.Request.Body))!;
        var (tokens, interval) = ((int)body["max_tokens"]!, (int)body["interval_ms"]!);
        var isMarked = (bool?)body["marks"] == true && context.Request.Headers.ContainsKey(Header);
        var gone = context.RequestAborted;
        context.Response.ContentType = "text/event-stream";
        if (isMarked) context.Response.Headers[Header] = "noop";
        var began = Stopwatch.GetTimestamp();
        for (var i = 0; i < tokens; i++)
        {
            // By the clock, not after the last token: the rate does not depend on the speed of the machine.
            var wait = TimeSpan.FromMilliseconds(i * (double)interval) - Stopwatch.GetElapsedTime(began);
            if (wait > TimeSpan.Zero) await Task.Delay(wait, TimeProvider.System, gone);
            await SendAsync(Chunk($"\"content\":\"{Stopwatch.GetTimestamp()}\"", "null"), i);
        }

        await SendAsync(Chunk("", "\"length\"") + "data: [DONE]\n\n", tokens);

        async Task SendAsync(string events, int mark)
        {
            // All characters are ASCII.
            if (isMarked) events = $": {events.Length} {mark}\n{events}";
            await context.Response.Body.WriteAsync(Encoding.ASCII.GetBytes(events), gone);
            await context.Response.Body.FlushAsync(gone);
        }
    }

    /// <summary>Returns a chunk with the fields and the length of those of real workers.</summary>
    private static string Chunk(string delta, string reason) =>
        "data: {\"id\":\"chatcmpl-0123456789abcdef0123456789abcdef\",\"object\":\"chat.completion.chunk\","
        + "\"created\":1796000000,\"model\":\"noop\",\"choices\":[{\"index\":0,\"delta\":{" + delta
        + "},\"logprobs\":null,\"finish_reason\":" + reason + "}]}\n\n";
}
