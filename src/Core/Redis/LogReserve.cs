using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace Sluice.Core.Redis;

/// <summary>
/// Reserves disk space behind the end of the embedded Redis' log, so that a full disk is seen before Redis meets it. Redis answers the first command
/// whose log entry did not fit as if it was stored, and refuses the later ones (redis/src/aof.c, flushAppendOnlyFile): killed then, it loses an
/// acknowledged job. While the reserve cannot be filled, submissions are refused and the rest of it holds what was accepted before.
/// </summary>
internal sealed partial class LogReserve : IDisposable
{
    /// <summary>Kept free behind the log's end: more than it grows until the next look, at 150 MiB a second.</summary>
    private const long Bytes = 16 << 20;

    private static readonly TimeSpan Every = TimeSpan.FromMilliseconds(100);

    /// <summary>fallocate(2): the size of the file stays.</summary>
    private const int KeepSize = 1;

    /// <summary>errno(3): ENOSPC, EDQUOT.</summary>
    private static readonly int[] NoSpace = [28, 122];

    private readonly string folder;
    private readonly FailureLog failures;
    private readonly ManualResetEventSlim stop = new();
    private readonly Thread thread;
    private volatile bool full;
    private string? reserved;
    private long lastSize;
    private long end;

    /// <param name="folder">Redis' directory; the log is in <c>appendonlydir</c> there.</param>
    /// <param name="logger">Receives failures, a bounded number of lines.</param>
    public LogReserve(string folder, ILogger logger)
    {
        this.folder = Path.Combine(folder, "appendonlydir");
        failures = new FailureLog(TimeProvider.System, logger);
        thread = new Thread(Run) { IsBackground = true, Name = "redis log reserve" };
        thread.Start();
    }

    /// <summary>Whether the last reserve could not be made for lack of space.</summary>
    public bool IsFull => full;

    /// <summary>Looks that found or made the whole reserve.</summary>
    public long Made { get; private set; }

    public void Dispose()
    {
        stop.Set();
        thread.Join();
        stop.Dispose();
    }

    private void Run()
    {
        do
        {
            try
            {
                if (Directory.Exists(folder)) Reserve();
            }
            catch (Exception e)
            {
                // An exception that leaves a thread ends the process.
                failures.Report("Reserving disk space for the log of the embedded Redis", e);
            }
        }
        while (!stop.Wait(Every));
    }

    private void Reserve()
    {
        // The newest one is written to; a rewrite of the log begins another one.
        var log = new DirectoryInfo(folder).EnumerateFiles("*.incr.aof").MaxBy(f => f.LastWriteTimeUtc);
        if (log is null) return;
        using var handle = File.OpenHandle(log.FullName, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        var size = RandomAccess.GetLength(handle);
        // A log that is another one, or that Redis has cut, has nothing reserved.
        if (log.FullName != reserved || size < lastSize || end < size) end = size;
        (reserved, lastSize) = (log.FullName, size);
        // Only what is missing: where it fails, tmpfs frees the whole range of the call (mm/shmem.c, shmem_fallocate).
        var missing = size + Bytes - end;
        if (missing > 0 && Allocate((int)handle.DangerousGetHandle(), KeepSize, end, missing) != 0)
        {
            var error = Marshal.GetLastPInvokeError();
            full = NoSpace.Contains(error);
            failures.Report("Reserving disk space for the log of the embedded Redis", new IOException($"{log.FullName}: {Marshal.GetPInvokeErrorMessage(error)}; "
                + (full ? "submissions are refused until there is space again" : "the file system may not support it")));
            return;
        }

        end = size + Bytes;
        full = false;
        Made++;
    }

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int Allocate(int file, int mode, long offset, long length);
}
