using System.Buffers;
using System.Buffers.Text;
using System.IO.Pipelines;
using Sluice.Gateway.Http;

namespace Sluice.Gateway.Forwarding;

/// <summary>
/// Removes the marks from a worker's stream. In front of the events of each part, the worker sends a line
/// <c>: LENGTH MARK</c> with the number of bytes of the events; the mark of the last part is <c>end</c>. The events of
/// a part are returned only when all of them arrived, so the client has whole parts, whenever the worker is lost. If
/// the worker's response ends early and can be resumed, the stream ends, and <see cref="ResumableStream.Failure"/> is
/// set.
/// </summary>
internal sealed class MarkedEvents : ReadStream
{
    /// <summary>Maximum number of bytes of the events of a part. The gateway holds one part of a stream.</summary>
    public const int MaxPartBytes = 1 << 20;

    /// <summary>Maximum number of bytes of a line with a mark.</summary>
    private const int MaxLineBytes = 64;

    private readonly Stream inner;
    private readonly ResumableStream stream;
    private readonly PipeReader reader;

    /// <summary>What was read and not returned. Valid while <c>isHeld</c>.</summary>
    private ReadOnlySequence<byte> held;
    private bool isHeld;
    private bool isComplete;

    /// <summary>Bytes of events at the start of <c>held</c>.</summary>
    private long events;

    /// <param name="inner">The body of the worker's response.</param>
    /// <param name="stream">Records the parts.</param>
    public MarkedEvents(Stream inner, ResumableStream stream)
    {
        this.inner = inner;
        this.stream = stream;
        reader = PipeReader.Create(inner, new StreamPipeReaderOptions(leaveOpen: true, useZeroByteReads: true));
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (true)
        {
            var read = CopyEvents(buffer.Span);
            // A read of zero bytes waits for events.
            if (read > 0 || events > 0) return read;
            if (isComplete) return End(null);
            if (isHeld) reader.AdvanceTo(held.Start, held.End);
            isHeld = false;
            try
            {
                var result = await reader.ReadAsync(cancellationToken);
                (held, isHeld, isComplete) = (result.Buffer, true, result.IsCompleted);
            }
            catch (Exception e) when (e is not OperationCanceledException && (stream.CanResume || stream.HasEnded))
            {
                isComplete = true;
                return End(e);
            }
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            reader.Complete();
            inner.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>Ends the stream. Without an end, the response is incomplete.</summary>
    private int End(Exception? error)
    {
        if (stream.HasEnded) return 0;
        error ??= new HttpIOException(HttpRequestError.ResponseEnded, "The worker's stream has no end.");
        if (!stream.CanResume) throw error;
        stream.Fail(error);
        return 0;
    }

    private int CopyEvents(Span<byte> buffer)
    {
        var read = 0;
        while (isHeld && (events > 0 || TryReadPart()))
        {
            var count = (int)Math.Min(buffer.Length - read, events);
            held.Slice(0, count).CopyTo(buffer[read..]);
            held = held.Slice(count);
            events -= count;
            read += count;
            if (events > 0) break;
        }

        return read;
    }

    /// <summary>Reads the line of the next part, if all events of the part have arrived.</summary>
    private bool TryReadPart()
    {
        if (stream.HasEnded)
        {
            // Nothing follows the end.
            held = held.Slice(held.End);
            return false;
        }

        var start = held.Slice(0, Math.Min(MaxLineBytes, held.Length));
        if (start.PositionOf((byte)'\n') is not { } end)
            return start.Length < MaxLineBytes
                ? false
                : throw new InvalidDataException(
                    $"The worker's stream has no mark in {MaxLineBytes} bytes; expected ': LENGTH MARK'.");
        var line = start.Slice(0, end);
        var (length, mark, isEnd) = ReadLine(line);
        var head = line.Length + 1;
        if (held.Length < head + length) return false;
        if (isEnd) stream.End();
        else stream.Add(mark);
        held = held.Slice(head);
        events = length;
        return true;
    }

    private static (int Length, ReadOnlySequence<byte> Mark, bool IsEnd) ReadLine(ReadOnlySequence<byte> line)
    {
        Span<byte> bytes = stackalloc byte[MaxLineBytes];
        line.CopyTo(bytes);
        bytes = bytes[..(int)line.Length];
        if (bytes.StartsWith(": "u8) && Utf8Parser.TryParse(bytes[2..], out int length, out var digits)
            && length is >= 0 and <= MaxPartBytes
            && bytes.Length > digits + 3 && bytes[digits + 2] == (byte)' ')
            return (length, line.Slice(digits + 3), bytes[(digits + 3)..].SequenceEqual("end"u8));
        throw new InvalidDataException(
            $"A mark of the worker's stream is '{Convert.ToHexStringLower(bytes)}'; expected ': LENGTH MARK', with a "
            + $"length of at most {MaxPartBytes} bytes.");
    }
}
