using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Sluice.Worker.OpenAi;

/// <summary>
/// Server-sent events of the OpenAI API: each has one JSON object, and the last one is <c>[DONE]</c>. There are no ids
/// and no comments, because clients fail on them (openai-python#2722).
/// </summary>
/// <remarks>
/// For a gateway that can continue the stream, the events that belong together have a line in front of them:
/// <c>: LENGTH MARK</c>, with the number of bytes of the events. The gateway removes the lines. It forwards all the
/// events after a line or none, so the marks say exactly what its client has.
/// </remarks>
/// <param name="context">The request.</param>
/// <param name="isMarked">Whether the events have marks.</param>
internal sealed class EventStream(HttpContext context, bool isMarked = false) : IDisposable
{
    private static readonly JsonWriterOptions Options = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private readonly ArrayBufferWriter<byte> buffer = new();
    private readonly ArrayBufferWriter<byte> marked = new();
    private Utf8JsonWriter? json;

    /// <summary>Whether the events have marks.</summary>
    public bool IsMarked => isMarked;

    /// <summary>Adds an object that a callback writes. It is sent by <see cref="SendAsync"/>.</summary>
    public void Write(Action<Utf8JsonWriter> write)
    {
        buffer.Write("data: "u8);
        json ??= new Utf8JsonWriter(buffer, Options);
        json.Reset(buffer);
        write(json);
        json.Flush();
        buffer.Write("\n\n"u8);
    }

    /// <summary>Discards the events that were not sent.</summary>
    public void Discard() => buffer.ResetWrittenCount();

    /// <summary>Sends the events.</summary>
    /// <param name="mark">What the client has after them. Events with a mark are also sent if there are none.</param>
    public async Task SendAsync(string mark)
    {
        if (!isMarked && buffer.WrittenCount == 0) return;
        var events = buffer;
        if (isMarked)
        {
            marked.ResetWrittenCount();
            Encoding.ASCII.GetBytes($": {buffer.WrittenCount} {mark}\n", marked);
            marked.Write(buffer.WrittenSpan);
            events = marked;
        }

        await context.Response.BodyWriter.WriteAsync(events.WrittenMemory, context.RequestAborted);
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
        buffer.ResetWrittenCount();
    }

    /// <summary>Sends the events and the end of the stream.</summary>
    public Task EndAsync()
    {
        buffer.Write("data: [DONE]\n\n"u8);
        return SendAsync(Continuation.End);
    }

    public void Dispose() => json?.Dispose();
}
