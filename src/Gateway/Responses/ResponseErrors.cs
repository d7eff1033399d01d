using System.Text.Json.Nodes;

namespace Sluice.Gateway.Responses;

/// <summary>Translates errors of chat completions to errors of responses. Pure.</summary>
internal static class ResponseErrors
{
    /// <summary>Fields of a chat request that have another name in a request of a response.</summary>
    private static readonly Dictionary<string, string> Names = new(StringComparer.Ordinal)
    {
        ["messages"] = "input",
        ["max_tokens"] = "max_output_tokens",
        ["max_completion_tokens"] = "max_output_tokens",
        ["response_format"] = "text.format",
        ["reasoning_effort"] = "reasoning.effort",
    };

    /// <summary>Returns the body of an error of a worker, with the names of the API of responses.</summary>
    /// <param name="body">The body; returned unchanged if it has not OpenAI's form.</param>
    public static byte[] Translate(byte[] body)
    {
        if (ResponseJson.Parse(body, out _) is not { } parsed || parsed["error"] is not JsonObject error
            || ResponseJson.Text(error["param"]) is not { } param) return body;
        var first = param.IndexOfAny(['.', '[']) is var end and >= 0 ? param[..end] : param;
        if (!Names.TryGetValue(first, out var name)) return body;
        error["param"] = name + param[first.Length..];
        return ResponseJson.WriteBytes(parsed);
    }

    /// <summary>Returns code and message of the error that ended a response in the background.</summary>
    /// <param name="status">The HTTP status of the worker.</param>
    /// <param name="body">Its body.</param>
    public static (string Code, string Message) Read(int status, JsonNode? body)
    {
        var error = ResponseJson.Field(body, "error");
        return (
            ResponseJson.Text(ResponseJson.Field(error, "code")) ?? (status < 500 ? "invalid_prompt" : "server_error"),
            ResponseJson.Text(ResponseJson.Field(error, "message"))
            ?? $"The worker responded with status {status}.");
    }
}
