using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

/// <summary>
/// Answers chat completions, as a model would. The content of the last message says how: a JSON object with
/// <c>words</c> (number of words of the answer), <c>gate</c> (a file: the answer waits before word <c>at</c> until it
/// exists), <c>die</c> (the process ends before this word, once, if the gate does not exist), <c>call</c> (the answer
/// calls this tool), <c>status</c> (the answer is an error) and <c>plain</c> (a stream without marks). Another content
/// is repeated.
/// </summary>
internal static class ChatAnswers
{
    private const string Announced = "stub-chat";

    /// <summary>Handles a request.</summary>
    /// <param name="context">The request.</param>
    /// <param name="body">Its body.</param>
    /// <param name="skip">The number of words that another worker has sent.</param>
    public static async Task HandleAsync(HttpContext context, JsonObject body, int skip)
    {
        var text = (string?)body["messages"]!.AsArray()[^1]!["content"] ?? "";
        var what = text.StartsWith('{') ? JsonNode.Parse(text)!.AsObject() : [];
        if ((int?)what["status"] is { } status)
        {
            context.Response.StatusCode = status;
            await context.Response.WriteAsJsonAsync(new JsonObject
            {
                ["error"] = new JsonObject { ["message"] = "no", ["param"] = "messages[0].content", ["code"] = "bad" },
            });
            return;
        }

        string[] words = (int?)what["words"] is { } count
            ? [.. Enumerable.Range(0, count).Select(i => $"w{i} ")] : [$"You said: {text}"];
        if ((bool?)body["stream"] == true) await StreamAsync(context, what, words, skip);
        else await WholeAsync(context, what, words);
    }

    /// <summary>Reads the number of marks in front of the body, and returns the body.</summary>
    public static async Task<(int Skip, JsonObject Body)> ReadAsync(HttpContext context)
    {
        using var all = new MemoryStream();
        await context.Request.Body.CopyToAsync(all);
        var marks = int.TryParse(context.Request.Headers["X-Sluice-Resume-Marks"], CultureInfo.InvariantCulture,
            out var length) ? length : 0;
        var bytes = all.ToArray();
        // The marks are those of a stream that begins again if the request does not name the stream.
        var isRest = context.Request.Headers["X-Sluice-Resume"] == Announced;
        return (isRest ? bytes.AsSpan(0, marks).Count((byte)' ') : 0, JsonNode.Parse(bytes.AsSpan(marks))!.AsObject());
    }

    private static async Task WholeAsync(HttpContext context, JsonObject what, string[] words)
    {
        for (var i = 0; i < words.Length; i++) await PassAsync(what, i, context.RequestAborted);
        var message = new JsonObject { ["role"] = "assistant", ["content"] = string.Concat(words) };
        if ((string?)what["call"] is { } name) message["tool_calls"] = new JsonArray(Call(name));
        await context.Response.WriteAsJsonAsync(new JsonObject
        {
            ["id"] = "chat-1",
            ["choices"] = new JsonArray(new JsonObject
            {
                ["index"] = 0,
                ["message"] = message,
                ["finish_reason"] = "stop",
            }),
            ["usage"] = Usage(words.Length),
        }, context.RequestAborted);
    }

    private static async Task StreamAsync(HttpContext context, JsonObject what, string[] words, int skip)
    {
        var header = context.Request.Headers["X-Sluice-Resume"].ToString();
        var isMarked = header.Length > 0 && (bool?)what["plain"] != true;
        var gone = context.RequestAborted;
        context.Response.ContentType = "text/event-stream";
        if (isMarked) context.Response.Headers["X-Sluice-Resume"] = Announced;
        for (var i = skip; i < words.Length; i++)
        {
            await PassAsync(what, i, gone);
            var delta = new JsonObject { ["content"] = words[i] };
            if (i == 0) delta["role"] = "assistant";
            await SendAsync(Event(new JsonArray(Choice(delta, null))), i.ToString(CultureInfo.InvariantCulture));
        }

        if ((string?)what["call"] is { } name)
        {
            var delta = new JsonObject { ["tool_calls"] = new JsonArray(Call(name)) };
            await SendAsync(Event(new JsonArray(Choice(delta, null))), "call");
        }

        var last = Event(new JsonArray(Choice([], "stop"))) + Event([], Usage(words.Length));
        await SendAsync(last + "data: [DONE]\n\n", "end");

        async Task SendAsync(string events, string mark)
        {
            if (isMarked) events = $": {Encoding.UTF8.GetByteCount(events)} {mark}\n{events}";
            await context.Response.WriteAsync(events, gone);
            await context.Response.Body.FlushAsync(gone);
        }
    }

    /// <summary>Waits before a word, or ends the process.</summary>
    private static async Task PassAsync(JsonObject what, int word, CancellationToken gone)
    {
        var gate = (string?)what["gate"];
        if ((int?)what["die"] == word && !File.Exists(gate))
        {
            await File.WriteAllTextAsync(gate!, "", gone);
            // What was sent before arrives.
            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, gone);
            Process.GetCurrentProcess().Kill();
        }

        if ((int?)what["at"] != word) return;
        while (!File.Exists(gate)) await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, gone);
    }

    private static string Event(JsonArray choices, JsonObject? usage = null) => "data: " + new JsonObject
    {
        ["id"] = "chat-1",
        ["object"] = "chat.completion.chunk",
        ["choices"] = choices,
        ["usage"] = usage,
    }.ToJsonString() + "\n\n";

    private static JsonObject Choice(JsonObject delta, string? finish) =>
        new() { ["index"] = 0, ["delta"] = delta, ["finish_reason"] = finish };

    private static JsonObject Call(string name) => new()
    {
        ["index"] = 0,
        ["id"] = "call-1",
        ["type"] = "function",
        ["function"] = new JsonObject { ["name"] = name, ["arguments"] = """{"a":1}""" },
    };

    private static JsonObject Usage(int words) => new() { ["prompt_tokens"] = 5, ["completion_tokens"] = words };
}
