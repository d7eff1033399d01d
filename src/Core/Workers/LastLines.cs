namespace Sluice.Core.Workers;

/// <summary>The last lines that a process wrote, bounded in number and length.</summary>
internal sealed class LastLines
{
    private const int MaxLines = 40;
    private const int MaxLength = 500;

    private readonly Queue<string> lines = [];

    public void Add(string line)
    {
        lock (lines)
        {
            lines.Enqueue(line.Length <= MaxLength ? line : line[..MaxLength] + "...");
            if (lines.Count > MaxLines) lines.Dequeue();
        }
    }

    public IReadOnlyList<string> Snapshot()
    {
        lock (lines) return [.. lines];
    }
}
