using System.Buffers.Binary;
using System.Text;

namespace Sluice.Core.Workers.Docker;

/// <summary>
/// Reads lines from a container's log stream. A frame is eight bytes (the stream's number, three zeros, the length as a big-endian number) and
/// so many bytes of text; a line may span frames, and each stream has lines of its own.
/// </summary>
internal sealed class LogFrames(Stream stream)
{
    /// <summary>Of one line; what is beyond is dropped.</summary>
    private const int MaxLine = 16 << 10;

    private readonly byte[] head = new byte[8];
    private readonly Dictionary<byte, MemoryStream> partial = [];
    private byte[] body = new byte[4096];

    /// <summary>Each line without its end, from whichever stream; ends with the stream.</summary>
    public async IAsyncEnumerable<string> LinesAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ct)
    {
        while (await stream.ReadAtLeastAsync(head, head.Length, throwOnEndOfStream: false, ct) == head.Length)
        {
            var length = checked((int)BinaryPrimitives.ReadUInt32BigEndian(head.AsSpan(4)));
            if (body.Length < length) body = new byte[length];
            await stream.ReadExactlyAsync(body.AsMemory(0, length), ct);
            if (!partial.TryGetValue(head[0], out var begun)) partial[head[0]] = begun = new MemoryStream();
            for (var from = 0; from < length;)
            {
                var end = body.AsSpan(from, length - from).IndexOf((byte)'\n');
                var take = end >= 0 ? end : length - from;
                begun.Write(body, from, (int)Math.Min(take, Math.Max(0, MaxLine - begun.Length)));
                from += take + 1;
                if (end >= 0) yield return Take(begun);
            }
        }

        foreach (var begun in partial.Values.Where(b => b.Length > 0)) yield return Take(begun);
    }

    private static string Take(MemoryStream begun)
    {
        var line = Encoding.UTF8.GetString(begun.GetBuffer(), 0, (int)begun.Length).TrimEnd('\r');
        begun.SetLength(0);
        return line;
    }
}
