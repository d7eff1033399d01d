using System.ComponentModel;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Sluice.Shared;

namespace Sluice.Storage.Embedded;

/// <summary>
/// Runs and supervises the embedded default Redis: a real redis-server as a child process, on loopback, with a random
/// password, an append-only file that is synced once a second (<see cref="LogSync"/>) and no eviction.
/// </summary>
/// <remarks>
/// One thread starts the process, waits until it exits and restarts it. The thread must live as long as the child
/// process, because the kernel binds the parent-death signal to the thread that forked.
/// </remarks>
public sealed partial class EmbeddedRedis : IDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(10);

    /// <summary>The number of other ports to try after the first one.</summary>
    private const int OtherPorts = 3;

    /// <summary>The number of log lines to keep, for the error message when redis-server does not start.</summary>
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

    /// <param name="folder">The data directory. It is created if it does not exist.</param>
    /// <param name="logger">Receives exits and restarts of redis-server.</param>
    /// <param name="port">The first port to listen on; 0: any free port. If the port is in use at the start, another
    /// one is selected.</param>
    public EmbeddedRedis(string folder, ILogger<EmbeddedRedis> logger, int port = 0)
    {
        this.folder = Path.GetFullPath(folder);
        this.logger = logger;
        this.port = port > 0 ? port : FreePort();
        if (OperatingSystem.IsWindows()) Directory.CreateDirectory(this.folder);
        else Directory.CreateDirectory(this.folder, PrivateFiles.Folder);
        supervisor = new Thread(Supervise) { IsBackground = true, Name = "redis-server supervisor" };
    }

    /// <summary>The connection string for StackExchange.Redis. It is final after <see cref="StartAsync"/>.</summary>
    public string ConnectionString => $"127.0.0.1:{port},password={password}";

    /// <summary>The process id of the current child process; 0 while none is running.</summary>
    public int ProcessId => process?.Id ?? 0;

    /// <summary>Whether the disk has no space left for writes that would be acknowledged.</summary>
    public bool DiskIsFull => reserve is { IsFull: true };

    /// <summary>Whether disk space for the log is reserved.</summary>
    internal bool HasReserve => reserve is { Made: > 0, IsFull: false };

    /// <summary>
    /// Starts redis-server and completes when it accepts connections. Throws <see cref="InvalidOperationException"/>
    /// with its last output if it does not start.
    /// </summary>
    public Task StartAsync()
    {
        // If the program is missing, setpriv only returns an exit code and no message.
        if (!IsInstalled(Environment.GetEnvironmentVariable("PATH"))) throw NotInstalled(null);
        supervisor.Start();
        sync = new LogSync(folder, logger);
        reserve = new LogReserve(folder, logger);
        return started.Task;
    }

    /// <summary>Sends SIGTERM: redis-server writes its pending data and exits.</summary>
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
        "redis-server is not installed. Install it (Debian: apt-get install redis-server), "
        + "or set SLUICE_REDIS to the address of a Redis server, version 7 or newer",
        cause);

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
                RedisExited(child.ExitCode, said);
                if (!started.Task.IsCompleted
                    && said.Contains("Address already in use", StringComparison.Ordinal)
                    && otherPorts-- > 0)
                {
                    // The port was free when it was selected.
                    port = FreePort();
                    continue;
                }

                if (started.TrySetException(new InvalidOperationException($"redis-server did not start: {said}")))
                    return;
            }
            catch (Win32Exception e)
            {
                started.TrySetException(NotInstalled(e));
                return;
            }
            catch (Exception e)
            {
                // For example: the pipe to its standard input broke because it exited early. An unhandled exception in
                // a thread ends the process.
                process = null;
                RedisSupervisionFailed(e.Message);
                if (started.TrySetException(
                    new InvalidOperationException($"redis-server did not start: {e.Message}", e)))
                    return;
            }

            if (stop.Wait(pause)) return;
            RedisRestart();
            pause = pause * 2 > LongestPause ? LongestPause : pause * 2;
        }
    }

    private Process Spawn()
    {
        // setsid: a Ctrl-C in the terminal must not reach redis-server before the gateway has drained. setpriv:
        // redis-server exits when the gateway exits, for any reason.
        string[] command = ["redis-server", "-"];
        if (File.Exists("/usr/bin/setpriv") && File.Exists("/usr/bin/setsid"))
            command = ["/usr/bin/setpriv", "--pdeathsig", "TERM", "--", "/usr/bin/setsid", .. command];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            WorkingDirectory = folder,
        };
        // Worker processes of the same user can read its environment.
        ChildEnvironment.Clean(start.Environment);
        var child = Process.Start(start)!;
        // Standard input keeps the password out of the argument list.
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

    /// <summary>Reads the output until the process exits.</summary>
    /// <returns>Whether the process became ready to accept connections.</returns>
    private bool Listen(Process child)
    {
        var ready = false;
        while (child.StandardOutput.ReadLine() is { } line)
        {
            lastLines.Enqueue(line);
            if (lastLines.Count > KeptLines) lastLines.Dequeue();
            RedisOutput(line);
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

    [LoggerMessage(LogLevel.Error,
        "redis-server exited with code {ExitCode}. Its last output: {Said}")]
    private partial void RedisExited(int exitCode, string said);

    [LoggerMessage(LogLevel.Information, "redis-server is restarted")]
    private partial void RedisRestart();

    [LoggerMessage(LogLevel.Error, "Supervising redis-server failed: {Error}")]
    private partial void RedisSupervisionFailed(string error);

    [LoggerMessage(LogLevel.Debug, "redis-server: {Line}")]
    private partial void RedisOutput(string line);
}
