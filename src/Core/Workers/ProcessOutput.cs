using System.Diagnostics;
using System.Text;

namespace Sluice.Core.Workers;

/// <summary>
/// Reads what a process writes to its standard output and error, line by line. A line is bounded however long it is: a process that never ends one costs
/// <see cref="MaxLine"/> bytes.
/// </summary>
internal sealed class ProcessOutput
{
    /// <summary>Bytes of one line that are passed on; the rest of it is dropped.</summary>
    public const int MaxLine = 16 << 10;

    private Action<string> heard;

    /// <param name="process">It was started with both redirected; its reading begins here.</param>
    /// <param name="heard">Receives each line. It is called from two threads, one for each stream.</param>
    public ProcessOutput(Process process, Action<string> heard)
    {
        this.heard = heard;
        Ended = Task.WhenAll(Task.Run(() => ReadAsync(process.StandardOutput.BaseStream)), Task.Run(() => ReadAsync(process.StandardError.BaseStream)));
    }

    /// <summary>Completes when all writers have closed the streams: at the exit of the process, or later if a child of it still runs.</summary>
    public Task Ended { get; }

    /// <summary>Replaces the receiver of the lines that follow.</summary>
    public void TellInstead(Action<string> other) => Volatile.Write(ref heard, other);

    private async Task ReadAsync(Stream stream)
    {
        await using var reading = stream;
        var (buffer, line, returned) = (new byte[4096], new MemoryStream(), false);
        try
        {
            while (await stream.ReadAsync(buffer) is var n and > 0)
                for (var i = 0; i < n; i++)
                {
                    var b = buffer[i];
                    // A return ends a line, too: progress bars write nothing else.
                    if (b is (byte)'\n' or (byte)'\r')
                    {
                        if (b == '\r' || !returned) Tell(line);
                    }
                    else if (line.Length < MaxLine) line.WriteByte(b);
                    returned = b == '\r';
                }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The pipe is gone, and what was read of it counts.
        }

        if (line.Length > 0) Tell(line);
    }

    private void Tell(MemoryStream line)
    {
        Volatile.Read(ref heard)(Encoding.UTF8.GetString(line.GetBuffer(), 0, (int)line.Length));
        line.SetLength(0);
    }
}
