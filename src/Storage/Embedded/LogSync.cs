using Microsoft.Extensions.Logging;

namespace Sluice.Storage.Embedded;

/// <summary>
/// Syncs the append-only log of the embedded Redis to the disk once a second, in place of the <c>everysec</c> policy of
/// Redis.
/// </summary>
/// <remarks>
/// With <c>everysec</c>, Redis keeps writes in memory for up to two seconds while a previous sync is running
/// (redis.conf: "appendfsync"). It acknowledges writes to clients that are lost when Redis is killed. Measured: 1 of 15
/// kills on a busy disk lost acknowledged writes, and a chaos run lost 6 of 50,000 jobs. With <c>appendfsync no</c>,
/// each write reaches the kernel before its reply is sent, so a killed process loses nothing. A power failure still
/// loses about the last second.
/// </remarks>
internal sealed partial class LogSync : IDisposable
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    /// <summary>A sync that takes longer than this is logged.</summary>
    private static readonly TimeSpan Slow = TimeSpan.FromSeconds(5);

    private readonly string folder;
    private readonly ILogger logger;
    private readonly ManualResetEventSlim stop = new();
    private readonly Thread thread;

    /// <param name="folder">The data directory of Redis; the log is in its <c>appendonlydir</c>.</param>
    /// <param name="logger">Receives slow and failed syncs.</param>
    public LogSync(string folder, ILogger logger)
    {
        this.folder = Path.Combine(folder, "appendonlydir");
        this.logger = logger;
        thread = new Thread(Run) { IsBackground = true, Name = "redis log sync" };
        thread.Start();
    }

    /// <summary>The number of files synced so far.</summary>
    public long Synced { get; private set; }

    /// <summary>
    /// Stops the loop after the running sync. A disk that hangs does not keep the gateway from exiting.
    /// </summary>
    public void Dispose()
    {
        stop.Set();
        if (thread.Join(Slow)) stop.Dispose();
        else LogSyncUnfinished(Slow.TotalSeconds);
    }

    private void Run()
    {
        while (!stop.Wait(Every))
        {
            var started = TimeProvider.System.GetTimestamp();
            try
            {
                if (Directory.Exists(folder)) Sync();
            }
            catch (Exception e)
            {
                // Catch every exception: an unhandled exception in a thread ends the process.
                LogSyncFailed(folder, e.Message);
            }

            if (TimeProvider.System.GetElapsedTime(started) is var took && took > Slow) LogSyncSlow(took.TotalSeconds);
        }
    }

    private void Sync()
    {
        // The two newest files: the others are closed. Each rewrite of the log starts a new file.
        var newest = Directory.EnumerateFiles(folder, "*.aof").OrderByDescending(File.GetLastWriteTimeUtc).Take(2);
        foreach (var file in newest)
        {
            try
            {
                using var handle = File.OpenHandle(
                    file,
                    FileMode.Open,
                    FileAccess.ReadWrite,
                    FileShare.ReadWrite | FileShare.Delete);
                RandomAccess.FlushToDisk(handle);
                Synced++;
            }
            catch (FileNotFoundException)
            {
                // A rewrite of the log has just deleted the file.
            }
        }
    }

    [LoggerMessage(LogLevel.Error, "Syncing the log of the embedded Redis in {Folder} to the disk failed: {Error}")]
    private partial void LogSyncFailed(string folder, string error);

    [LoggerMessage(LogLevel.Warning,
        "The last sync of the embedded Redis log did not complete within {Seconds:0} s; exiting without it")]
    private partial void LogSyncUnfinished(double seconds);

    [LoggerMessage(LogLevel.Warning,
        "Syncing the log of the embedded Redis took {Seconds:0.0} s; a power failure can lose as much")]
    private partial void LogSyncSlow(double seconds);
}
