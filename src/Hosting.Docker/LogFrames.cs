using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Text;

namespace Sluice.Hosting.Docker;

/// <summary>
/// Reads lines from a container's log stream. A frame has an eight-byte header (the number of the stream, three zeros,
/// the length as a big-endian number), and then that many bytes of text. A line may span frames, and the streams have
/// separate lines.
/// </summary>
internal sealed class LogFrames(Stream stream)
{
    /// <summary>Bytes of a line that are kept; the rest of it is dropped.</summary>
    private const int MaxLine = 16 << 10;

    private readonly byte[] head = new byte[8];
    private readonly Dictionary<byte, MemoryStream> partial = [];
    private byte[] body = new byte[4096];

    /// <summary>Returns each line of all streams, without its line end, until the log stream ends.</summary>
    public async IAsyncEnumerable<string> LinesAsync([EnumeratorCancellation] CancellationToken ct)
    {
        while (await stream.ReadAtLeastAsync(head, head.Length, throwOnEndOfStream: false, ct) == head.Length)
        {
            var length = checked((int)BinaryPrimitives.ReadUInt32BigEndian(head.AsSpan(4)));
            if (body.Length < length) body = new byte[length];
            await stream.ReadExactlyAsync(body.AsMemory(0, length), ct);
            if (!partial.TryGetValue(head[0], out var line)) partial[head[0]] = line = new MemoryStream();
            for (var from = 0; from < length;)
            {
                var end = body.AsSpan(from, length - from).IndexOf((byte)'\n');
                var take = end >= 0 ? end : length - from;
                line.Write(body, from, (int)Math.Min(take, Math.Max(0, MaxLine - line.Length)));
                from += take + 1;
                if (end >= 0) yield return ReadText(line);
            }
        }

        foreach (var line in partial.Values.Where(b => b.Length > 0)) yield return ReadText(line);
    }

    private static string ReadText(MemoryStream buffer)
    {
        var line = Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length).TrimEnd('\r');
        buffer.SetLength(0);
        return line;
    }
}
