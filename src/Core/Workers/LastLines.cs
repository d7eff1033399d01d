using System.Text;

namespace Sluice.Core.Workers;

/// <summary>The last lines that a process wrote: bounded in number, in the length of each and in bytes altogether, and printable.</summary>
internal sealed class LastLines
{
    /// <summary>Lines that are kept.</summary>
    public const int MaxLines = 40;

    /// <summary>Characters of one line that are kept.</summary>
    public const int MaxLength = 500;

    /// <summary>UTF-8 bytes of all lines that are kept: what Redis stores for each worker.</summary>
    public const int MaxBytes = 16 << 10;

    /// <summary>Non-empty lines that an exit is reported with. The cause is often not the last one: a traceback ends with it, a native library's
    /// message is followed by advice.</summary>
    private const int LinesOfAnEnd = 3;

    private readonly Queue<(string Text, int Bytes)> lines = [];
    private int bytes;
    private long added;

    /// <summary>Lines added so far: another number than before means other lines.</summary>
    public long Added => Volatile.Read(ref added);

    /// <summary>Adds a line and returns it as it is kept.</summary>
    public string Add(string line)
    {
        var text = PrintableText.Of(line, MaxLength);
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

    /// <summary>The last lines that are not blank, oldest first, as one; empty: there is none.</summary>
    public string End()
    {
        lock (lines) return string.Join(" | ", lines.Select(l => l.Text.Trim()).Where(l => l.Length > 0).TakeLast(LinesOfAnEnd));
    }
}
