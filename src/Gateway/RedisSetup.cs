using Sluice.Core;
using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Gateway;

/// <summary>Connects to Redis, and refuses one that cannot hold the queue.</summary>
public static partial class RedisSetup
{
    /// <summary>Scripts with flags (allow-oom) came with it.</summary>
    private const int LeastVersion = 7;

    public static async Task<ConnectionMultiplexer> ConnectAsync(string settings)
    {
        var options = ConfigurationOptions.Parse(settings);
        options.AbortOnConnectFail = false;
        // The client counts reading INFO as administration.
        options.AllowAdmin = true;
        options.ClientName = "sluice";
        options.ConnectTimeout = 2000;
        options.SyncTimeout = 5000;
        options.KeepAlive = 5;
        var connection = await ConnectionMultiplexer.ConnectAsync(options);
        CoreMeter.Meter.CreateObservableCounter("sluice.redis.commands", () => connection.OperationCount, "{command}",
            "Commands sent to Redis, scripts included.");
        return connection;
    }

    /// <summary>Waits until Redis answers a command; throws with the reason when it does not within the patience.</summary>
    public static async Task WaitAsync(ConnectionMultiplexer connection, TimeSpan patience, TimeProvider time, ILogger logger)
    {
        var started = time.GetTimestamp();
        while (true)
        {
            try
            {
                await connection.GetDatabase().PingAsync();
                return;
            }
            catch (Exception e) when (e is RedisException || RedisDown.Is(e))
            {
                var server = string.Join(", ", connection.GetEndPoints().Select(a => a.ToString()));
                if (IsWrongPassword(e))
                    throw new InvalidOperationException($"Redis {server} refuses the password in SLUICE_REDIS; "
                        + "expected host:port,password=... or redis://:password@host:port", e);
                if (time.GetElapsedTime(started) >= patience)
                    throw new InvalidOperationException($"Redis {server} gave no answer for {patience.TotalSeconds:0.#} s (SLUICE_REDIS): {e.Message}", e);
                NoAnswer(logger, server, e.Message);
            }

            await Task.Delay(TimeSpan.FromSeconds(1) < patience ? TimeSpan.FromSeconds(1) : patience, time);
        }
    }

    /// <summary>Waiting does not help: Redis answered, and refused (its error codes are NOAUTH and, from version 6 on, WRONGPASS).</summary>
    private static bool IsWrongPassword(Exception e) =>
        e.Message.Contains("NOAUTH", StringComparison.Ordinal) || e.Message.Contains("WRONGPASS", StringComparison.Ordinal)
        || (e.InnerException is { } inner && IsWrongPassword(inner));

    /// <summary>Throws when this Redis is too old, or may throw our keys away.</summary>
    public static async Task CheckAsync(ConnectionMultiplexer connection, ILogger logger)
    {
        foreach (var address in connection.GetEndPoints())
        {
            var server = connection.GetServer(address);
            if (!server.IsConnected)
            {
                CannotCheck(logger, address.ToString()!);
                continue;
            }

            if (server.Version.Major < LeastVersion)
                throw new InvalidOperationException($"Redis {address} is version {server.Version}, expected {LeastVersion} or newer");
            await CheckPolicyAsync(server, logger);
        }
    }

    private static async Task CheckPolicyAsync(IServer server, ILogger logger)
    {
        // INFO, not CONFIG GET: managed services forbid that.
        var info = (await server.InfoAsync()).SelectMany(g => g).ToLookup(p => p.Key, p => p.Value);
        var policy = info["maxmemory_policy"].FirstOrDefault();
        if (policy is not null and not "noeviction")
            throw new InvalidOperationException($"Redis {server.EndPoint} has maxmemory-policy {policy}, expected noeviction: "
                + "it would throw queued requests and slots away when its memory is full");
        if (info["aof_enabled"].FirstOrDefault() == "0") NoAof(logger, server.EndPoint.ToString()!);
    }

    [LoggerMessage(LogLevel.Warning, "Cannot read the configuration of Redis {Server}: make sure that its maxmemory-policy is noeviction")]
    private static partial void CannotCheck(ILogger logger, string server);

    [LoggerMessage(LogLevel.Warning, "Redis {Server} does not answer yet: {Error}")]
    private static partial void NoAnswer(ILogger logger, string server, string error);

    [LoggerMessage(LogLevel.Warning, "Redis {Server} has appendonly no: what it holds is lost when it restarts")]
    private static partial void NoAof(ILogger logger, string server);
}
