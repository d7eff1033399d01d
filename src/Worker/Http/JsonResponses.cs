using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;

namespace Sluice.Worker.Http;

/// <summary>Writes small JSON responses.</summary>
internal static class JsonResponses
{
    /// <summary>
    /// Leaves quotes and apostrophes unescaped, so that clients can match the texts. This is safe because the
    /// response is JSON and never HTML.
    /// </summary>
    private static readonly JsonWriterOptions Readable = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Serializes a response body with a source-generated serializer.</summary>
    public static Task JsonAsync<T>(HttpContext context, T body, JsonTypeInfo<T> type)
    {
        context.Response.ContentType = "application/json";
        return JsonSerializer.SerializeAsync(context.Response.Body, body, type, context.RequestAborted);
    }

    /// <summary>Sends the JSON that a callback writes.</summary>
    public static async Task WriteAsync(HttpContext context, Action<Utf8JsonWriter> write)
    {
        context.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter, Readable);
        write(json);
        await json.FlushAsync(context.RequestAborted);
    }

    /// <summary>Sets the header <c>Retry-After</c>, unless the number of seconds is null.</summary>
    public static void SetRetryAfter(HttpContext context, int? seconds)
    {
        if (seconds is { } known)
            context.Response.Headers.RetryAfter = known.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>Sends an error in Triton's form: <c>{"error": "..."}</c>.</summary>
    public static Task ErrorAsync(HttpContext context, int status, string error)
    {
        context.Response.StatusCode = status;
        return WriteAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("error"u8, error);
            json.WriteEndObject();
        });
    }
}
