using System.Runtime.CompilerServices;
using System.Text;

namespace Sluice.Hosting;

/// <summary>
/// Reads lines from the output of a worker. The length of a line is limited, because a worker that never ends a line
/// must not use the memory of the gateway.
/// </summary>
public static class BoundedLines
{
    /// <summary>Bytes of one line that are kept; the rest of it is dropped.</summary>
    public const int MaxLine = 16 << 10;

    /// <summary>Returns each line without its line end, also a last one that has none.</summary>
    public static async IAsyncEnumerable<string> ReadAsync(
        Stream stream, [EnumeratorCancellation] CancellationToken ct)
    {
        var (buffer, line) = (new byte[4096], new MemoryStream());
        while (await stream.ReadAsync(buffer, ct) is var read and > 0)
        {
            for (var from = 0; from < read;)
            {
                var end = buffer.AsSpan(from, read - from).IndexOf((byte)'\n');
                var take = end >= 0 ? end : read - from;
                line.Write(buffer, from, (int)Math.Min(take, MaxLine - line.Length));
                from += take + 1;
                if (end >= 0) yield return Take(line);
            }
        }

        if (line.Length > 0) yield return Take(line);
    }

    private static string Take(MemoryStream buffer)
    {
        var line = Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length).TrimEnd('\r');
        buffer.SetLength(0);
        return line;
    }
}
