using Microsoft.Extensions.Logging;

namespace Sluice.Core.Redis;

/// <summary>
/// Brings the embedded Redis' append-only log to the disk once a second, in place of Redis' own <c>everysec</c>. That one holds
/// writes back in Redis' memory, for up to two seconds, while a sync of before is still on its way (redis.conf: "appendfsync"): it
/// answers a client what a killed Redis then never wrote. Seen: 1 of 15 kills on a busy disk lost answered writes, and a chaos run 6 of
/// 50,000 jobs. With <c>appendfsync no</c> each write reaches the kernel before its answer leaves, and a killed process loses nothing;
/// a power cut costs about the last second, as before.
/// </summary>
internal sealed partial class LogSync : IDisposable
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    /// <summary>A disk that needs longer for a second's writes is told about.</summary>
    private static readonly TimeSpan Slow = TimeSpan.FromSeconds(5);

    private readonly string folder;
    private readonly ILogger logger;
    private readonly ManualResetEventSlim stop = new();
    private readonly Thread thread;

    /// <param name="folder">Redis' directory; the log is in <c>appendonlydir</c> there.</param>
    /// <param name="logger">Where a slow or failing disk is told.</param>
    public LogSync(string folder, ILogger logger)
    {
        (this.folder, this.logger) = (Path.Combine(folder, "appendonlydir"), logger);
        thread = new Thread(Run) { IsBackground = true, Name = "redis log sync" };
        thread.Start();
    }

    /// <summary>Files synced so far.</summary>
    public long Synced { get; private set; }

    /// <summary>Ends the loop, after the sync that is on its way; a disk that hangs does not keep the gateway from leaving.</summary>
    public void Dispose()
    {
        stop.Set();
        if (thread.Join(Slow)) stop.Dispose();
        else LeftBehind(Slow.TotalSeconds);
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
                // Of any kind: an exception that leaves a thread ends the process.
                Failed(folder, e.Message);
            }

            if (TimeProvider.System.GetElapsedTime(started) is var took && took > Slow) TookLong(took.TotalSeconds);
        }
    }

    private void Sync()
    {
        // The newest parts: the others are closed. Which one is written to changes with each rewrite of the log.
        foreach (var file in Directory.EnumerateFiles(folder, "*.aof").OrderByDescending(File.GetLastWriteTimeUtc).Take(2))
        {
            try
            {
                using var handle = File.OpenHandle(file, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
                RandomAccess.FlushToDisk(handle);
                Synced++;
            }
            catch (FileNotFoundException)
            {
                // A rewrite of the log has just taken it away.
            }
        }
    }

    [LoggerMessage(LogLevel.Error, "The log of the embedded Redis in {Folder} cannot be brought to the disk: {Error}")]
    private partial void Failed(string folder, string error);

    [LoggerMessage(LogLevel.Warning, "The last sync of the embedded Redis' log has not ended after {Seconds:0} s: leaving without it")]
    private partial void LeftBehind(double seconds);

    [LoggerMessage(LogLevel.Warning, "Bringing the log of the embedded Redis to the disk took {Seconds:0.0} s: a power cut now costs as much")]
    private partial void TookLong(double seconds);
}
