using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Sluice.Worker.OpenAi;

/// <summary>
/// Server-sent events of the OpenAI API: each has one JSON object, and the last one is <c>[DONE]</c>. There are no ids
/// and no comments, because clients fail on them (openai-python#2722).
/// </summary>
/// <param name="context">The request.</param>
internal sealed class EventStream(HttpContext context) : IDisposable
{
    private static readonly JsonWriterOptions Options = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private readonly ArrayBufferWriter<byte> buffer = new();
    private Utf8JsonWriter? json;

    /// <summary>Sends an object that a callback writes.</summary>
    public async Task SendAsync(Action<Utf8JsonWriter> write)
    {
        buffer.ResetWrittenCount();
        buffer.Write("data: "u8);
        json ??= new Utf8JsonWriter(buffer, Options);
        json.Reset(buffer);
        write(json);
        json.Flush();
        buffer.Write("\n\n"u8);
        await FlushAsync();
    }

    /// <summary>Ends the stream.</summary>
    public async Task EndAsync()
    {
        buffer.ResetWrittenCount();
        buffer.Write("data: [DONE]\n\n"u8);
        await FlushAsync();
    }

    public void Dispose() => json?.Dispose();

    private async Task FlushAsync()
    {
        await context.Response.BodyWriter.WriteAsync(buffer.WrittenMemory, context.RequestAborted);
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
    }
}
