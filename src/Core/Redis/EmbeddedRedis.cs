using System.ComponentModel;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;

namespace Sluice.Core.Redis;

/// <summary>
/// The embedded default: a real redis-server as this process' own child, on loopback, with a random password, an AOF
/// that is synced each second (<see cref="LogSync"/>) and no eviction. One thread starts it, waits for its end and starts it again: the thread must live
/// as long as the child, because the kernel ties "end with the parent" to the thread that forked.
/// </summary>
public sealed partial class EmbeddedRedis : IDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(10);

    /// <summary>Ports that are tried after the first one.</summary>
    private const int OtherPorts = 3;

    /// <summary>Lines of its log that are kept for the reason when it does not start.</summary>
    private const int KeptLines = 10;

    private readonly string folder;
    private readonly string password = Convert.ToHexString(RandomNumberGenerator.GetBytes(24));
    private readonly ILogger<EmbeddedRedis> logger;
    private readonly ManualResetEventSlim stop = new();
    private readonly TaskCompletionSource started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Queue<string> lastLines = [];
    private readonly Thread supervisor;
    private int port;
    private LogSync? sync;
    private LogReserve? reserve;
    private Process? process;

    /// <param name="folder">Where it keeps its data; made when missing.</param>
    /// <param name="logger">Where its ends and restarts are told.</param>
    /// <param name="port">Where it is to listen first; 0: on one that is free. Another one where that is taken when it starts.</param>
    public EmbeddedRedis(string folder, ILogger<EmbeddedRedis> logger, int port = 0)
    {
        (this.folder, this.logger, this.port) = (Path.GetFullPath(folder), logger, port > 0 ? port : FreePort());
        if (OperatingSystem.IsWindows()) Directory.CreateDirectory(this.folder);
        else Directory.CreateDirectory(this.folder, PrivateFiles.Folder);
        supervisor = new Thread(Supervise) { IsBackground = true, Name = "redis-server supervisor" };
    }

    /// <summary>For StackExchange.Redis; final once it has started.</summary>
    public string ConnectionString => $"127.0.0.1:{port},password={password}";

    /// <summary>Process id of the present child; 0 between two.</summary>
    public int ProcessId => process?.Id ?? 0;

    /// <summary>Whether its disk has no space left for what it would acknowledge.</summary>
    public bool DiskIsFull => reserve is { IsFull: true };

    /// <summary>Whether space for its log is reserved.</summary>
    internal bool HasReserve => reserve is { Made: > 0, IsFull: false };

    /// <summary>Starts it; ends when it accepts connections, or throws with what it said.</summary>
    public Task StartAsync()
    {
        // Started through setpriv, a missing program would end as an exit code without a word.
        if (!IsInstalled(Environment.GetEnvironmentVariable("PATH"))) throw NotInstalled(null);
        supervisor.Start();
        sync = new LogSync(folder, logger);
        reserve = new LogReserve(folder, logger);
        return started.Task;
    }

    /// <summary>SIGTERM: it writes what it has and exits.</summary>
    public void Dispose()
    {
        stop.Set();
        if (process is { HasExited: false } running) _ = Kill(running.Id, Sigterm);
        if (supervisor.IsAlive) supervisor.Join(StopPatience);
        sync?.Dispose();
        reserve?.Dispose();
        stop.Dispose();
    }

    private static bool IsInstalled(string? path) =>
        (path ?? "").Split(':').Any(folder => folder.Length > 0 && File.Exists(Path.Combine(folder, "redis-server")));

    private static InvalidOperationException NotInstalled(Exception? cause) => new(
        "redis-server is not installed: install it (Debian: apt-get install redis-server), or point SLUICE_REDIS at a Redis 7 or newer", cause);

    private void Supervise()
    {
        var (pause, otherPorts) = (FirstPause, OtherPorts);
        while (!stop.IsSet)
        {
            try
            {
                using var child = Spawn();
                process = child;
                if (Listen(child)) pause = FirstPause;
                child.WaitForExit();
                process = null;
                if (stop.IsSet) return;
                var said = string.Join(" | ", lastLines);
                Ended(child.ExitCode, said);
                if (!started.Task.IsCompleted && said.Contains("Address already in use", StringComparison.Ordinal) && otherPorts-- > 0)
                {
                    // It was free when it was looked for.
                    port = FreePort();
                    continue;
                }

                if (started.TrySetException(new InvalidOperationException($"redis-server did not start: {said}"))) return;
            }
            catch (Win32Exception e)
            {
                started.TrySetException(NotInstalled(e));
                return;
            }
            catch (Exception e)
            {
                // For example its input broke because it ended before it had read it. An exception that leaves a thread ends the process.
                process = null;
                SuperviseFailed(e.Message);
                if (started.TrySetException(new InvalidOperationException($"redis-server did not start: {e.Message}", e))) return;
            }

            stop.Wait(pause);
            pause = pause * 2 > LongestPause ? LongestPause : pause * 2;
        }
    }

    private Process Spawn()
    {
        // In a session of its own a terminal's Ctrl-C does not reach it before the gateway has drained; and it ends with
        // the gateway, however that ends.
        string[] command = ["redis-server", "-"];
        if (File.Exists("/usr/bin/setpriv") && File.Exists("/usr/bin/setsid"))
            command = ["/usr/bin/setpriv", "--pdeathsig", "TERM", "--", "/usr/bin/setsid", .. command];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            WorkingDirectory = folder,
        };
        // Workers of the same user can read its environment.
        ChildEnvironment.Clean(start.Environment);
        var child = Process.Start(start)!;
        // Over standard input, so that the password is in no argument list.
        child.StandardInput.Write($"""
            bind 127.0.0.1
            port {port}
            requirepass {password}
            dir "{folder}"
            appendonly yes
            appendfsync no
            save ""
            maxmemory-policy noeviction
            daemonize no
            logfile ""

            """);
        child.StandardInput.Close();
        return child;
    }

    /// <summary>Reads what it says until its end; true when it became ready on the way.</summary>
    private bool Listen(Process child)
    {
        var ready = false;
        while (child.StandardOutput.ReadLine() is { } line)
        {
            lastLines.Enqueue(line);
            if (lastLines.Count > KeptLines) lastLines.Dequeue();
            Said(line);
            if (!line.Contains("Ready to accept connections", StringComparison.Ordinal)) continue;
            ready = true;
            started.TrySetResult();
        }

        return ready;
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private const int Sigterm = 15;

    [System.Runtime.InteropServices.LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int pid, int signal);

    [LoggerMessage(LogLevel.Error, "redis-server ended with {ExitCode}; starting it again. It said last: {Said}")]
    private partial void Ended(int exitCode, string said);

    [LoggerMessage(LogLevel.Error, "redis-server cannot be supervised; it is started again: {Error}")]
    private partial void SuperviseFailed(string error);

    [LoggerMessage(LogLevel.Debug, "redis-server: {Line}")]
    private partial void Said(string line);
}
