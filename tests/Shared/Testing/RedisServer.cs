using System.Diagnostics;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Testing;

/// <summary>
/// A <c>redis-server</c> process on loopback with a free port and its own folder: a primary, a replica, a node of a
/// cluster or a Sentinel. Its connections need <see cref="RedisFixture.Password"/>.
/// </summary>
public sealed class RedisServer : IAsyncDisposable
{
    private const string SentinelIsReady = "+monitor";

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-redis-").FullName;
    private readonly List<string> output = [];
    private readonly Func<RedisServer, string[]> arguments;
    private readonly string isReady;
    private Process? process;
    private ConnectionMultiplexer? connection;

    private RedisServer(Func<RedisServer, string[]> arguments, string isReady)
    {
        this.arguments = arguments;
        this.isReady = isReady;
    }

    public int Port { get; private set; }

    /// <summary>The address in the format of SLUICE_REDIS, without a password.</summary>
    public string Address => $"127.0.0.1:{Port}";

    /// <summary>Starts a server, and waits until it accepts connections.</summary>
    /// <param name="arguments">Additional arguments.</param>
    public static Task<RedisServer> StartAsync(params string[] arguments) => StartAsync(
        server =>
        [
            "--port", $"{server.Port}", "--dir", server.folder, "--masterauth", RedisFixture.Password,
            "--appendonly", "yes", "--appendfsync", "no", "--save", "", "--maxmemory-policy", "noeviction",
            "--repl-diskless-sync-delay", "0", .. arguments,
        ],
        "Ready to accept connections");

    /// <summary>Starts a Sentinel that monitors a primary.</summary>
    /// <param name="service">The name of the service.</param>
    /// <param name="primary">The primary at the start.</param>
    /// <param name="quorum">The number of Sentinels that agree on a failure.</param>
    /// <param name="downAfter">The silence after which a server counts as failed.</param>
    public static Task<RedisServer> StartSentinelAsync(
        string service, RedisServer primary, int quorum, TimeSpan downAfter) => StartAsync(
        server =>
        {
            var file = Path.Combine(server.folder, "sentinel.conf");
            File.WriteAllText(file, $"""
                port {server.Port}
                dir {server.folder}
                sentinel monitor {service} 127.0.0.1 {primary.Port} {quorum}
                sentinel auth-pass {service} {RedisFixture.Password}
                sentinel sentinel-pass {RedisFixture.Password}
                sentinel down-after-milliseconds {service} {downAfter.TotalMilliseconds:0}
                sentinel failover-timeout {service} 10000

                """);
            return [file, "--sentinel"];
        },
        SentinelIsReady);

    /// <summary>Runs a command, and returns the reply.</summary>
    public async Task<RedisResult> ExecuteAsync(string command, params object[] arguments)
    {
        connection ??= await ConnectAsync();
        return await connection.GetServer(Address).ExecuteAsync(command, arguments);
    }

    /// <summary>Kills the process with SIGKILL. Its folder is kept.</summary>
    public async Task KillAsync()
    {
        if (connection is not null) await connection.CloseAsync(allowCommandsToComplete: false);
        connection = null;
        if (process is null) return;
        process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
        process = null;
    }

    /// <summary>Suspends and resumes the process (SIGSTOP, SIGCONT).</summary>
    public void Signal(int signal) => ChildProcess.Signal(process!.Id, signal);

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        Directory.Delete(folder, recursive: true);
    }

    /// <summary>Starts the server on its port with the data and role of its first start.</summary>
    public async Task RestartAsync()
    {
        if (!await StartsAsync()) throw new InvalidOperationException($"redis-server did not start: {output[^1]}");
    }

    private static async Task<RedisServer> StartAsync(Func<RedisServer, string[]> arguments, string isReady)
    {
        // Another process may take a port between its selection and the listen call.
        for (var more = 5; ; more--)
        {
            var server = new RedisServer(arguments, isReady) { Port = FreePort.Find() };
            if (await server.StartsAsync()) return server;
            var said = string.Join('\n', server.output);
            await server.DisposeAsync();
            if (more == 0) throw new InvalidOperationException($"redis-server did not start: {said}");
        }
    }

    private Task<ConnectionMultiplexer> ConnectAsync()
    {
        var options = RedisClientOptions.Parse($"{Address},password={RedisFixture.Password}");
        options.ConnectTimeout = 5000;
        // A Sentinel does not know most commands.
        return isReady == SentinelIsReady
            ? ConnectionMultiplexer.SentinelConnectAsync(options)
            : ConnectionMultiplexer.ConnectAsync(options);
    }

    private async Task<bool> StartsAsync()
    {
        process = Process.Start(new ProcessStartInfo(
            "redis-server", [.. arguments(this), "--bind", "127.0.0.1", "--requirepass", RedisFixture.Password])
        {
            RedirectStandardOutput = true,
        });
        while (await process!.StandardOutput.ReadLineAsync() is { } line)
        {
            output.Add(line);
            if (!line.Contains(isReady, StringComparison.Ordinal)) continue;
            _ = process.StandardOutput.ReadToEndAsync();
            return true;
        }

        await process.WaitForExitAsync();
        return false;
    }
}
