using System.Text;
using Sluice.Shared;

namespace Sluice.Hosting;

/// <summary>
/// Stores the last lines that a process wrote, made printable. The number of lines, the length of each and the total
/// size are limited.
/// </summary>
internal sealed class OutputTail
{
    /// <summary>Number of lines that are kept.</summary>
    public const int MaxLines = 40;

    /// <summary>Characters of one line that are kept.</summary>
    public const int MaxLength = 500;

    /// <summary>UTF-8 bytes of all kept lines, which Redis stores for each worker.</summary>
    public const int MaxBytes = 16 << 10;

    /// <summary>
    /// Number of non-empty lines in the description of an exit. The cause is often not in the last line: a traceback
    /// ends with it, but a native library adds advice after its message.
    /// </summary>
    private const int LinesOfAnExit = 3;

    private readonly Queue<(string Text, int Bytes)> lines = [];
    private int bytes;
    private long added;

    /// <summary>Number of lines added so far. A changed number means that the kept lines have changed.</summary>
    public long Added => Volatile.Read(ref added);

    /// <summary>Adds a line and returns it in its stored form.</summary>
    public string Add(string line)
    {
        var text = PrintableText.Escape(line, MaxLength);
        var size = Encoding.UTF8.GetByteCount(text);
        lock (lines)
        {
            lines.Enqueue((text, size));
            bytes += size;
            while (lines.Count > MaxLines || bytes > MaxBytes) bytes -= lines.Dequeue().Bytes;
            added++;
        }

        return text;
    }

    public IReadOnlyList<string> Snapshot()
    {
        lock (lines) return [.. lines.Select(l => l.Text)];
    }

    /// <summary>Joins the last non-blank lines, the oldest first; empty if there are none.</summary>
    public string DescribeEnd()
    {
        lock (lines)
        {
            var texts = lines.Select(l => l.Text.Trim()).Where(l => l.Length > 0).TakeLast(LinesOfAnExit);
            return string.Join(" | ", texts);
        }
    }
}
