using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Sluice.Storage.Background;

namespace Sluice.Storage.Embedded;

/// <summary>
/// Reserves disk space after the end of the embedded Redis log, so that a full disk is detected before Redis runs into
/// it.
/// </summary>
/// <remarks>
/// Redis acknowledges the first command whose log entry did not fit, and rejects only the later ones (redis/src/aof.c,
/// flushAppendOnlyFile). If Redis is killed at that point, it loses an acknowledged job. While the reserve cannot be
/// filled, submissions are rejected, and the remaining reserve is available for jobs that were accepted before.
/// </remarks>
internal sealed partial class LogReserve : IDisposable
{
    /// <summary>
    /// Bytes reserved after the end of the log: more than the log grows until the next check, at 150 MiB/s.
    /// </summary>
    private const long Bytes = 16 << 20;

    private static readonly TimeSpan Every = TimeSpan.FromMilliseconds(100);

    /// <summary>
    /// Longer than the steps of a file system's clock: two changes of a folder within one step have the same time.
    /// </summary>
    private static readonly TimeSpan ClockStep = TimeSpan.FromSeconds(1);

    /// <summary>FALLOC_FL_KEEP_SIZE of fallocate(2): the file size does not change.</summary>
    private const int KeepSize = 1;

    /// <summary>The error numbers ENOSPC and EDQUOT; see errno(3).</summary>
    private static readonly int[] NoSpace = [28, 122];

    private readonly string folder;
    private readonly FailureLog failures;
    private readonly ManualResetEventSlim stop = new();
    private readonly Thread thread;
    private volatile bool full;
    private FileInfo? reserved;
    private DateTime looked;
    private DateTime folderChanged;
    private long lastSize;
    private long end;

    /// <param name="folder">The data directory of Redis; the log is in its <c>appendonlydir</c>.</param>
    /// <param name="logger">Receives failures, at a bounded rate.</param>
    public LogReserve(string folder, ILogger logger)
    {
        this.folder = Path.Combine(folder, "appendonlydir");
        failures = new FailureLog(TimeProvider.System, logger);
        thread = new Thread(Run) { IsBackground = true, Name = "redis log reserve" };
        thread.Start();
    }

    /// <summary>Whether the last attempt to reserve failed because of missing space.</summary>
    public bool IsFull => full;

    /// <summary>The number of checks that found or completed the whole reserve.</summary>
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
                // An unhandled exception in a thread ends the process.
                failures.Report("Reserving disk space for the log of the embedded Redis", e);
            }
        }
        while (!stop.Wait(Every));
    }

    private void Reserve()
    {
        if (!full && HasNotChanged())
        {
            Made++;
            return;
        }

        // Redis writes to the newest file; a rewrite of the log starts another one.
        (looked, folderChanged) = (TimeProvider.System.GetUtcNow().UtcDateTime, Directory.GetLastWriteTimeUtc(folder));
        var log = new DirectoryInfo(folder).EnumerateFiles("*.incr.aof").MaxBy(f => f.LastWriteTimeUtc);
        if (log is null) return;
        using var handle = File.OpenHandle(
            log.FullName,
            FileMode.Open,
            FileAccess.ReadWrite,
            FileShare.ReadWrite | FileShare.Delete);
        var size = RandomAccess.GetLength(handle);
        // A new log file, or one that Redis has truncated, has no reserve.
        if (log.FullName != reserved?.FullName || size < lastSize || end < size) end = size;
        (reserved, lastSize) = (log, size);
        // Allocate only the missing part: on failure, tmpfs frees the whole range of the call (mm/shmem.c,
        // shmem_fallocate).
        var missing = size + Bytes - end;
        if (missing > 0 && Allocate((int)handle.DangerousGetHandle(), KeepSize, end, missing) != 0)
        {
            var error = Marshal.GetLastPInvokeError();
            full = NoSpace.Contains(error);
            var consequence = full
                ? "submissions are rejected until there is space again"
                : "the file system may not support it";
            failures.Report(
                "Reserving disk space for the log of the embedded Redis",
                new IOException($"{log.FullName}: {Marshal.GetPInvokeErrorMessage(error)}; {consequence}"));
            return;
        }

        end = size + Bytes;
        full = false;
        Made++;
    }

    /// <summary>
    /// Whether no file was created or deleted since the last check, and nothing was written. It costs two calls of
    /// stat(2), ten times a second.
    /// </summary>
    private bool HasNotChanged()
    {
        if (reserved is null || end < lastSize + Bytes || looked - folderChanged < ClockStep) return false;
        reserved.Refresh();
        return reserved.Exists && reserved.Length == lastSize
            && Directory.GetLastWriteTimeUtc(folder) == folderChanged;
    }

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int Allocate(int file, int mode, long offset, long length);
}
