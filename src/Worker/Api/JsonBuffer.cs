using System.Buffers;
using System.Collections.Concurrent;
using System.Text.Json;

namespace Sluice.Worker.Api;

/// <summary>Memory to write a JSON head into, kept for the next answer.</summary>
internal sealed class JsonBuffer : IDisposable
{
    /// <summary>Kept at most, and of this size at most: one large answer must not hold its memory for ever.</summary>
    private const int MaxKept = 64;
    private const int MaxSize = 64 << 10;

    // What we write is well-formed by construction, and raw values are our own numbers.
    public static readonly JsonWriterOptions Options = new() { SkipValidation = true };

    private static readonly ConcurrentBag<JsonBuffer> Kept = [];

    private readonly ArrayBufferWriter<byte> buffer = new(1024);

    private JsonBuffer() => Writer = new Utf8JsonWriter(buffer, Options);

    public Utf8JsonWriter Writer { get; }

    /// <summary>What was written and flushed.</summary>
    public ReadOnlyMemory<byte> Written => buffer.WrittenMemory;

    public static JsonBuffer Rent() => Kept.TryTake(out var kept) ? kept : new JsonBuffer();

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
