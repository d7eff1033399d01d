using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Sluice.Storage.Redis;
using StackExchange.Redis;
using Xunit;

namespace Sluice.Testing;

/// <summary>
/// A real redis-server of one test class: on loopback, with a free port, its own folder, and an append-only log.
/// </summary>
public sealed class RedisFixture : IAsyncLifetime
{
    public const string Password = "test-password";

    /// <summary>Redis' name of the log's folder.</summary>
    private const string LogFolder = "appendonlydir";

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-redis-").FullName;
    private ConnectionMultiplexer? connection;
    private Process? process;

    public int Port { get; private set; } = FreePort.Find();

    /// <summary>The connection in the format of SLUICE_REDIS.</summary>
    public string ConnectionString => $"127.0.0.1:{Port},password={Password}";

    public RedisStore Store => new(connection!);

    public async ValueTask InitializeAsync()
    {
        // Another process may take a port between its selection and the listen call.
        for (var more = 5; !await StartsAsync(); more--, Port = FreePort.Find())
            if (more == 0) throw new InvalidOperationException("redis-server did not start");
        connection = await ConnectAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (connection is not null) await connection.CloseAsync(allowCommandsToComplete: false);
        await KillAsync();
        Directory.Delete(folder, recursive: true);
    }

    /// <summary>Opens a second connection, like another gateway.</summary>
    public async Task<ConnectionMultiplexer> ConnectAsync()
    {
        var options = RedisClientOptions.Parse(ConnectionString);
        options.ConnectTimeout = 5000;
        return await ConnectionMultiplexer.ConnectAsync(options);
    }

    /// <summary>Kills the server with SIGKILL.</summary>
    public async Task KillAsync()
    {
        if (process is null) return;
        process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
        process = null;
    }

    /// <summary>
    /// Copies what the server has written to its log so far into a separate folder: the data that remains if it loses
    /// all later writes.
    /// </summary>
    public string CopyLog()
    {
        var copy = Directory.CreateTempSubdirectory("sluice-redis-copy-").FullName;
        foreach (var file in Directory.GetFiles(Path.Combine(folder, LogFolder)))
            File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
        return copy;
    }

    /// <summary>
    /// Kills the server with SIGKILL, and restarts it on a copy from <see cref="CopyLog"/>, which is deleted.
    /// </summary>
    public async Task RollBackAsync(string copy)
    {
        await KillAsync();
        var log = Path.Combine(folder, LogFolder);
        Directory.Delete(log, recursive: true);
        Directory.CreateDirectory(log);
        foreach (var file in Directory.GetFiles(copy)) File.Copy(file, Path.Combine(log, Path.GetFileName(file)));
        Directory.Delete(copy, recursive: true);
        await StartAsync();
    }

    /// <summary>Suspends and resumes the server (SIGSTOP, SIGCONT).</summary>
    public void Signal(int signal) => ChildProcess.Signal(process!.Id, signal);

    /// <summary>
    /// Starts the server on the data of the last one, and waits until it answers. It does not use <c>everysec</c>: see
    /// <c>LogSync</c>.
    /// </summary>
    public async Task StartAsync()
    {
        if (!await StartsAsync()) throw new InvalidOperationException("redis-server did not start");
    }

    /// <summary>
    /// Starts the server on the data of the last one, with a pause before each key that it loads, and returns a task
    /// that ends when all are loaded. Until then it answers most commands with LOADING. It looks at its connections
    /// after each 1,024 keys.
    /// </summary>
    /// <param name="pause">The pause before each key.</param>
    public async Task<Task> StartLoadingAsync(TimeSpan pause)
    {
        Launch("--key-load-delay", $"{pause.TotalMicroseconds:0}");
        while (await process!.StandardOutput.ReadLineAsync() is { } line)
        {
            if (line.Contains("Server initialized", StringComparison.Ordinal)) return IsReadyAsync();
        }

        throw new InvalidOperationException("redis-server did not start");
    }

    /// <summary>Lets a server that <see cref="StartLoadingAsync"/> started load the rest without pauses.</summary>
    public async Task LoadRestAsync()
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, Port);
        await using var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"AUTH {Password}\r\nCONFIG SET key-load-delay 0\r\n"));
        using var reader = new StreamReader(stream);
        foreach (var command in new[] { "AUTH", "CONFIG SET" })
        {
            var reply = await reader.ReadLineAsync();
            if (reply != "+OK") throw new InvalidOperationException($"redis-server answered {command} with {reply}");
        }
    }

    private Task<bool> StartsAsync()
    {
        Launch();
        return IsReadyAsync();
    }

    private void Launch(params string[] more) => process = Process.Start(new ProcessStartInfo("redis-server",
        [
            "--bind", "127.0.0.1", "--port", $"{Port}", "--requirepass", Password, "--dir", folder,
            "--appendonly", "yes", "--appendfsync", "no", "--save", "", "--maxmemory-policy", "noeviction", .. more,
        ])
        { RedirectStandardOutput = true });

    private async Task<bool> IsReadyAsync()
    {
        while (await process!.StandardOutput.ReadLineAsync() is { } line)
        {
            if (!line.Contains("Ready to accept connections", StringComparison.Ordinal)) continue;
            _ = process.StandardOutput.ReadToEndAsync();
            return true;
        }

        await process.WaitForExitAsync();
        return false;
    }
}
