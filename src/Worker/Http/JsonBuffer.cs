using System.Buffers;
using System.Collections.Concurrent;
using System.Text.Json;

namespace Sluice.Worker.Http;

/// <summary>A pooled buffer for the JSON document before binary data.</summary>
internal sealed class JsonBuffer : IDisposable
{
    /// <summary>Maximum number of buffers in the pool.</summary>
    private const int MaxKept = 64;

    /// <summary>
    /// Maximum size in bytes of a buffer in the pool, so that one large response does not keep its memory permanently.
    /// </summary>
    private const int MaxSize = 64 << 10;

    /// <summary>
    /// Options for writers of responses. Validation is off, because the worker writes only well-formed JSON and its
    /// raw values are numbers that it formatted itself.
    /// </summary>
    public static readonly JsonWriterOptions Options = new() { SkipValidation = true };

    private static readonly ConcurrentBag<JsonBuffer> Kept = [];

    private readonly ArrayBufferWriter<byte> buffer = new(1024);

    private JsonBuffer() => Writer = new Utf8JsonWriter(buffer, Options);

    /// <summary>Writes into the buffer.</summary>
    public Utf8JsonWriter Writer { get; }

    /// <summary>The bytes that were written and flushed.</summary>
    public ReadOnlyMemory<byte> Written => buffer.WrittenMemory;

    /// <summary>Returns a buffer from the pool, or a new one.</summary>
    public static JsonBuffer Rent() => Kept.TryTake(out var kept) ? kept : new JsonBuffer();

    /// <summary>Returns the buffer to the pool.</summary>
    public void Dispose()
    {
        if (buffer.Capacity > MaxSize || Kept.Count >= MaxKept)
        {
            Writer.Dispose();
            return;
        }

        buffer.ResetWrittenCount();
        Writer.Reset();
        Kept.Add(this);
    }
}
