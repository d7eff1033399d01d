using Sluice.Shared;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Gateway.Startup;

/// <summary>
/// Connects to Redis, and rejects a server whose version or configuration does not support the queue.
/// </summary>
public static partial class RedisSetup
{
    /// <summary>Minimum major version: Redis 7 introduced script flags (allow-oom).</summary>
    private const int MinVersion = 7;

    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Creates the connection. A server that is not reachable is not an error: the client connects in the background.
    /// Sentinels are waited for, because they name the server.
    /// </summary>
    /// <param name="settings">The address in the form of StackExchange.Redis.</param>
    /// <param name="patience">How long to wait for the Sentinels and their primary.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">Receives a warning after each failed attempt.</param>
    /// <exception cref="InvalidOperationException">No Sentinel named a primary in time.</exception>
    public static async Task<RedisConnection> ConnectAsync(
        string settings, TimeSpan patience, TimeProvider time, ILogger logger)
    {
        var connection = await OpenAsync(settings, patience, time, logger);
        SluiceMeter.Meter.CreateObservableCounter(
            MetricNames.RedisCommands, () => connection.OperationCount, "{command}",
            "Number of commands sent to Redis, including scripts.");
        return connection;
    }

    /// <summary>Creates the connection for writes that replicas confirm.</summary>
    /// <inheritdoc cref="ConnectAsync"/>
    public static async Task<RedisConnection> OpenAsync(
        string settings, TimeSpan patience, TimeProvider time, ILogger logger)
    {
        var options = RedisClientOptions.Parse(settings);
        if (options.ServiceName is null) return new(await ConnectionMultiplexer.ConnectAsync(options), time);
        var started = time.GetTimestamp();
        while (true)
        {
            try
            {
                return await RedisSentinels.ConnectAsync(options, time, logger);
            }
            catch (Exception e) when (e is RedisException or TimeoutException)
            {
                var sentinels = string.Join(", ", options.EndPoints.Select(a => a.ToString()));
                if (time.GetElapsedTime(started) >= patience)
                    throw new InvalidOperationException($"The Sentinels {sentinels} named no primary of the service "
                        + $"'{options.ServiceName}' for {patience.TotalSeconds:0.#} s; check SLUICE_REDIS. "
                        + $"Cause: {e.Message}", e);
                RedisUnreachable(logger, sentinels, e.Message);
                await Task.Delay(RetryPause, time);
            }
        }
    }

    /// <summary>Waits until Redis responds to a command.</summary>
    /// <param name="connection">The connection.</param>
    /// <param name="settings">The address from which it was created.</param>
    /// <param name="patience">How long to wait.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">Receives a warning after each failed command.</param>
    /// <exception cref="InvalidOperationException">Redis did not respond in time, or rejected the password.</exception>
    public static async Task WaitAsync(
        RedisConnection connection, string settings, TimeSpan patience, TimeProvider time, ILogger logger)
    {
        var started = time.GetTimestamp();
        while (!await TryPingAsync())
            await Task.Delay(RetryPause < patience ? RetryPause : patience, time);

        async Task<bool> TryPingAsync()
        {
            try
            {
                await connection.Current.GetDatabase().PingAsync();
                return true;
            }
            catch (Exception e) when (e is RedisException || RedisErrors.Is(e))
            {
                var server = string.Join(", ", connection.Current.GetEndPoints().Select(a => a.ToString()));
                if (IsWrongPassword(e) || await IsPasswordRejectedAsync(settings))
                    throw new InvalidOperationException($"Redis {server} rejected the password in SLUICE_REDIS; "
                        + "expected host:port,password=... or redis://:password@host:port.", e);
                if (time.GetElapsedTime(started) >= patience)
                    throw new InvalidOperationException($"Redis {server} did not respond for "
                        + $"{patience.TotalSeconds:0.#} s; check SLUICE_REDIS. Cause: {e.Message}", e);
                RedisUnreachable(logger, server, e.Message);
                return false;
            }
        }
    }

    /// <summary>
    /// Tries another connection, and returns whether Redis rejects its password. The error of a command on a connection
    /// that the client repairs in the background names the last reason, and the client reports each other one once.
    /// </summary>
    private static async Task<bool> IsPasswordRejectedAsync(string settings)
    {
        var options = RedisClientOptions.Parse(settings);
        options.AbortOnConnectFail = true;
        options.ConnectRetry = 1;
        try
        {
            await using var other = await ConnectionMultiplexer.ConnectAsync(options);
            return false;
        }
        catch (RedisConnectionException e)
        {
            return IsWrongPassword(e);
        }
    }

    /// <summary>
    /// Whether Redis rejected the password. Its error codes are NOAUTH and, since version 6, WRONGPASS. Waiting does
    /// not help in this case.
    /// </summary>
    private static bool IsWrongPassword(Exception e) =>
        e is RedisConnectionException { FailureType: ConnectionFailureType.AuthenticationFailure }
        || e.Message.Contains("NOAUTH", StringComparison.Ordinal)
        || e.Message.Contains("WRONGPASS", StringComparison.Ordinal)
        || (e.InnerException is { } inner && IsWrongPassword(inner));

    /// <summary>
    /// Checks the version, the mode and the eviction policy of each server, with Sentinels also of the replicas.
    /// </summary>
    /// <param name="connection">The connection.</param>
    /// <param name="settings">The address from which it was created.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">Receives what is allowed, but dangerous.</param>
    /// <exception cref="InvalidOperationException">A server is too old, belongs to a Redis Cluster (ADR 128), or its
    /// eviction policy can delete keys of the gateway.</exception>
    public static async Task CheckAsync(
        RedisConnection connection, string settings, TimeProvider time, ILogger logger)
    {
        var options = RedisClientOptions.Parse(settings);
        if (options.ServiceName is null)
        {
            await CheckAllAsync(connection.Current, logger);
            return;
        }

        await using var all = await RedisSentinels.ConnectAllAsync(options, time, logger);
        await CheckAllAsync(all, logger);
    }

    private static async Task CheckAllAsync(IConnectionMultiplexer connection, ILogger logger)
    {
        foreach (var address in connection.GetEndPoints())
        {
            var server = connection.GetServer(address);
            if (!server.IsConnected)
            {
                RedisConfigurationUnreadable(logger, address.ToString()!);
                continue;
            }

            if (server.Version.Major < MinVersion)
                throw new InvalidOperationException($"Redis {address} has version '{server.Version}'; expected "
                    + $"{MinVersion} or newer.");
            await CheckConfigurationAsync(server, logger);
        }
    }

    private static async Task CheckConfigurationAsync(IServer server, ILogger logger)
    {
        // INFO instead of CONFIG GET: managed Redis services do not allow CONFIG.
        var info = (await server.InfoAsync()).SelectMany(g => g).ToLookup(p => p.Key, p => p.Value);
        if (server.ServerType == ServerType.Cluster || info["redis_mode"].FirstOrDefault() == "cluster")
            throw new InvalidOperationException(
                $"Redis {server.EndPoint} is a node of a Redis Cluster; expected one primary. Use a primary with "
                + "replicas and Sentinel (host:26379,serviceName=NAME,password=...), a managed primary with a replica, "
                + "or one server.");
        var policy = info["maxmemory_policy"].FirstOrDefault();
        if (policy is not null and not "noeviction")
            throw new InvalidOperationException(
                $"The maxmemory-policy of Redis {server.EndPoint} is '{policy}'; expected noeviction. "
                + "With another policy Redis deletes queued requests and slots when its memory is full.");
        if (info["aof_enabled"].FirstOrDefault() == "0") RedisAofDisabled(logger, server.EndPoint.ToString()!);
    }

    [LoggerMessage(LogLevel.Warning,
        "The configuration of Redis {Server} cannot be read; make sure that its maxmemory-policy is noeviction")]
    private static partial void RedisConfigurationUnreadable(ILogger logger, string server);

    [LoggerMessage(LogLevel.Warning, "Redis {Server} does not respond yet: {Error}")]
    private static partial void RedisUnreachable(ILogger logger, string server, string error);

    [LoggerMessage(LogLevel.Warning, "Redis {Server} has appendonly no: its data is lost when it restarts")]
    private static partial void RedisAofDisabled(ILogger logger, string server);
}
