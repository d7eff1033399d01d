using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Generation.Chat.Jinja;
using Sluice.Worker.Logging;
using Sluice.Worker.Runtime;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.OpenAi;

/// <summary>
/// An error in the form of the OpenAI API: <c>{"error": {"message", "type", "param", "code"}}</c>. Clients read nothing
/// else (openai-node, src/core/error.ts).
/// </summary>
/// <param name="Status">HTTP status of the response.</param>
/// <param name="Message">The text for the caller.</param>
/// <param name="Param">The field; null: none.</param>
/// <param name="Code">The code that clients compare; null: none.</param>
internal sealed record ErrorObject(int Status, string Message, string? Param, string? Code)
{
    /// <summary>Value of the header <c>Retry-After</c> in seconds; null: no header.</summary>
    public int? RetryAfter { get; private init; }

    private static ErrorObject? From(Exception error) => error switch
    {
        OpenAiException e => new ErrorObject(e.Status, e.Message, e.Param, e.Code),
        InvalidRequestException e => new ErrorObject(
            e.Status,
            e.Message,
            null,
            e.Message.Contains("has a context", StringComparison.Ordinal) ? "context_length_exceeded" : null)
        {
            RetryAfter = e.RetryAfter,
        },
        TemplateException { Kind: TemplateErrorKind.Syntax } e => new ErrorObject(
            500, $"The chat template of the model is not valid: {e.Message}", null, null),
        TemplateException e => new ErrorObject(
            400, $"The chat template of the model rejects the messages: {e.Message}", "messages", null),
        // Patterns of a tokenizer have a limit of their time.
        TimeoutException => new ErrorObject(400, "The text takes too long to convert to tokens.", null, null),
        BadHttpRequestException e => new ErrorObject(e.StatusCode, e.Message, null, null),
        OnnxRuntimeException e => new ErrorObject(500, $"The model failed: {RunError.Clean(e.Message)}", null, null),
        // JSON can escape half of a surrogate pair, which no string can have.
        InvalidOperationException { Source: { } source }
            when source.StartsWith("System.Text.Json", StringComparison.Ordinal) => new ErrorObject(
            400, "The request contains a string that is not valid Unicode.", null, null),
        _ => null,
    };

    /// <summary>
    /// Returns the error that a caller sees. An exception that is not expected is logged, and its text is not shown.
    /// </summary>
    /// <param name="error">The exception.</param>
    /// <param name="log">The log.</param>
    /// <param name="request">The id of the request; null: it has none.</param>
    public static ErrorObject From(Exception error, WorkerLog log, string? request)
    {
        if (From(error) is { } expected) return expected;
        log.Error(nameof(ErrorObject), $"Request failed: {error}", request);
        return new ErrorObject(
            500, "Internal error of the worker. The worker's log contains the exception.", null, null);
    }

    /// <summary>Writes the object.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteStartObject("error");
        json.WriteString("message", Message);
        json.WriteString("type", Status switch
        {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            >= 500 => "server_error",
            _ => "invalid_request_error",
        });
        json.WriteString("param", Param);
        json.WriteString("code", Code);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
