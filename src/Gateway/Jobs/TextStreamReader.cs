using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using Sluice.Gateway.Forwarding;
using Sluice.Gateway.Http;

namespace Sluice.Gateway.Jobs;

/// <summary>Reads a worker's stream of text as entries of a <see cref="TextLog"/>.</summary>
/// <param name="body">The body of the worker's response. The reader disposes it.</param>
/// <param name="stream">Records the marks; null: the stream has none.</param>
internal sealed class TextStreamReader(Stream body, ResumableStream? stream)
{
    private const int BufferBytes = 64 << 10;

    /// <summary>
    /// Reads until the stream ends. Entries have whole parts, so a stream that continues after the last one is exact.
    /// </summary>
    /// <param name="onRead">Called after each read.</param>
    /// <param name="ct">Stops the read.</param>
    /// <exception cref="InvalidDataException">The worker sent something that is not an event with JSON.</exception>
    /// <exception cref="IOException">The stream was cut.</exception>
    public async IAsyncEnumerable<byte[]> ReadAsync(
        Action onRead, [EnumeratorCancellation] CancellationToken ct)
    {
        await using var events = stream is null ? body : new MarkedEvents(body, stream);
        var (splitter, chunks, buffer, seen) = (new EventSplitter(), new List<byte[]>(), new byte[BufferBytes], 0);
        while (true)
        {
            var read = await events.ReadAsync(buffer, ct);
            onRead();
            chunks.AddRange(splitter.Add(buffer.AsSpan(0, read)).Where(d => !d.AsSpan().SequenceEqual("[DONE]"u8)));
            // A full buffer can end within a part.
            if (read == buffer.Length) continue;
            ReadOnlyMemory<byte>? marks = null;
            if (stream is { CanResume: true }) marks = stream.Marks[seen..];
            if (chunks.Count > 0 || marks is { Length: > 0 })
            {
                yield return TextLog.Entry(marks, chunks);
                chunks.Clear();
                seen += marks?.Length ?? 0;
            }

            if (read > 0) continue;
            if (stream?.Failure is { } failure) ExceptionDispatchInfo.Throw(failure);
            yield break;
        }
    }
}
