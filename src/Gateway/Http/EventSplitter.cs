using System.Buffers;

namespace Sluice.Gateway.Http;

/// <summary>
/// Splits the bytes of server-sent events into the data of the events, without waiting for more bytes. Names and ids of
/// events are ignored: the chat completions of the OpenAI API have none.
/// </summary>
internal sealed class EventSplitter
{
    /// <summary>Maximum bytes of an event. Events of a chat completion have a few hundred bytes.</summary>
    public const int MaxBytes = 4 << 20;

    private readonly ArrayBufferWriter<byte> line = new();
    private readonly ArrayBufferWriter<byte> data = new();
    private bool hasData;

    /// <summary>Whether the bytes of the last call completed a comment, which keeps a stream open.</summary>
    public bool HasComment { get; private set; }

    /// <summary>Returns the data of the events that these bytes complete.</summary>
    /// <exception cref="InvalidDataException">An event has more than <see cref="MaxBytes"/>.</exception>
    public IReadOnlyList<byte[]> Add(ReadOnlySpan<byte> bytes)
    {
        List<byte[]> events = [];
        HasComment = false;
        while (bytes.IndexOf((byte)'\n') is var end and >= 0)
        {
            Keep(bytes[..end]);
            bytes = bytes[(end + 1)..];
            if (ReadLine() is { } complete) events.Add(complete);
        }

        Keep(bytes);
        return events;
    }

    /// <summary>Discards an event that is not complete.</summary>
    public void Clear()
    {
        line.ResetWrittenCount();
        data.ResetWrittenCount();
        hasData = false;
    }

    private void Keep(ReadOnlySpan<byte> bytes)
    {
        if (line.WrittenCount + data.WrittenCount + bytes.Length > MaxBytes)
            throw new InvalidDataException($"An event has more than {MaxBytes} bytes, which is the limit.");
        line.Write(bytes);
    }

    /// <summary>Reads the line that is complete, and returns the data of its event if it is the last one.</summary>
    private byte[]? ReadLine()
    {
        var text = line.WrittenSpan;
        if (text is [.., (byte)'\r']) text = text[..^1];
        byte[]? complete = null;
        if (text.IsEmpty)
        {
            if (hasData) complete = data.WrittenSpan.ToArray();
            data.ResetWrittenCount();
            hasData = false;
        }
        else if (text[0] == (byte)':')
        {
            HasComment = true;
        }
        else if (text.StartsWith("data:"u8))
        {
            text = text["data:"u8.Length..];
            if (text is [(byte)' ', ..]) text = text[1..];
            if (hasData) data.Write("\n"u8);
            data.Write(text);
            hasData = true;
        }

        line.ResetWrittenCount();
        return complete;
    }
}
