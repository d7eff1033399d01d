using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;

namespace Sluice.Gateway.Batches;

/// <summary>Reads the lines of a JSONL file, one at a time. Empty lines are skipped, but counted.</summary>
public static class BatchInput
{
    private static readonly byte[] ByteOrderMark = [0xEF, 0xBB, 0xBF];

    /// <summary>Reads the lines.</summary>
    /// <param name="file">The file.</param>
    /// <param name="maxLine">Maximum bytes of a line.</param>
    /// <param name="ct">Stops the reading.</param>
    public static async IAsyncEnumerable<InputLine> ReadAsync(
        Stream file, int maxLine, [EnumeratorCancellation] CancellationToken ct)
    {
        var reader = PipeReader.Create(file, new StreamPipeReaderOptions(leaveOpen: true, bufferSize: 64 << 10));
        var (number, isTooLong) = (1, false);
        while (true)
        {
            var read = await reader.ReadAsync(ct);
            var rest = read.Buffer;
            while (rest.PositionOf((byte)'\n') is { } end)
            {
                if (Line(number, rest.Slice(0, end), isTooLong, maxLine) is { } line) yield return line;
                rest = rest.Slice(rest.GetPosition(1, end));
                (number, isTooLong) = (number + 1, false);
            }

            if (read.IsCompleted)
            {
                if (Line(number, rest, isTooLong, maxLine) is { } last) yield return last;
                break;
            }

            // The rest of a line that is too long is not kept.
            if (rest.Length > maxLine) (rest, isTooLong) = (rest.Slice(rest.End), true);
            reader.AdvanceTo(rest.Start, rest.End);
        }

        await reader.CompleteAsync();
    }

    private static InputLine? Line(int number, ReadOnlySequence<byte> bytes, bool isTooLong, int maxLine)
    {
        if (isTooLong || bytes.Length > maxLine) return new InputLine(number, default, IsTooLong: true);
        var line = bytes.ToArray().AsMemory();
        if (number == 1 && line.Span.StartsWith(ByteOrderMark)) line = line[ByteOrderMark.Length..];
        return line.Span.Trim(" \t\r"u8).IsEmpty ? null : new InputLine(number, line, IsTooLong: false);
    }
}

/// <summary>A line of the input of a batch.</summary>
/// <param name="Number">The line, from 1.</param>
/// <param name="Json">Its bytes.</param>
/// <param name="IsTooLong">Whether it exceeds the limit; it has no bytes then.</param>
public readonly record struct InputLine(int Number, ReadOnlyMemory<byte> Json, bool IsTooLong);
