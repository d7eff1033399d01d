using System.Diagnostics;
using System.Text;

namespace Sluice.Hosting.Processes;

/// <summary>
/// Reads the standard output and error of a process, line by line. The length of a line is limited: a process that
/// never ends a line uses <see cref="MaxLine"/> bytes.
/// </summary>
internal sealed class ProcessOutput
{
    /// <summary>Bytes of one line that are passed on; the rest of it is dropped.</summary>
    public const int MaxLine = 16 << 10;

    private Action<string> onLine;

    /// <summary>Starts to read the output.</summary>
    /// <param name="process">The process, which was started with both streams redirected.</param>
    /// <param name="onLine">Receives each line. It is called from two threads, one for each stream.</param>
    public ProcessOutput(Process process, Action<string> onLine)
    {
        this.onLine = onLine;
        Ended = Task.WhenAll(
            Task.Run(() => ReadAsync(process.StandardOutput.BaseStream)),
            Task.Run(() => ReadAsync(process.StandardError.BaseStream)));
    }

    /// <summary>
    /// Completes when all writers have closed the streams: when the process exits, or later if one of its children
    /// still runs.
    /// </summary>
    public Task Ended { get; }

    /// <summary>Replaces the receiver of the lines that follow.</summary>
    public void ReplaceReceiver(Action<string> other) => Volatile.Write(ref onLine, other);

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
                    // A carriage return ends a line too: progress bars write no other line end.
                    if (b is (byte)'\n' or (byte)'\r')
                    {
                        if (b == '\r' || !returned) Emit(line);
                    }
                    else if (line.Length < MaxLine) line.WriteByte(b);
                    returned = b == '\r';
                }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The pipe is closed. The bytes that were read are processed.
        }

        if (line.Length > 0) Emit(line);
    }

    private void Emit(MemoryStream line)
    {
        Volatile.Read(ref onLine)(Encoding.UTF8.GetString(line.GetBuffer(), 0, (int)line.Length));
        line.SetLength(0);
    }
}
