using StackExchange.Redis;

namespace Sluice.Gateway.Startup;

/// <summary>Connects to the primary that Sentinels name, and lets the client follow each failover.</summary>
internal static class RedisSentinels
{
    /// <summary>
    /// Connects to the primary of the service. The connection to the Sentinels stays open as long as the process runs:
    /// the client reads from it that another server became the primary.
    /// </summary>
    /// <param name="options">The addresses of the Sentinels, the name of the service, and the credentials.</param>
    /// <exception cref="TimeoutException">No Sentinel is reachable, none knows the service, or its primary is not
    /// reachable. The client reports some of these as a <see cref="RedisException"/>.</exception>
    public static async Task<ConnectionMultiplexer> ConnectAsync(ConfigurationOptions options)
    {
        var forSentinels = options.Clone();
        // Without separate credentials, these are those of Redis.
        (forSentinels.User, forSentinels.Password) = (options.SentinelUser, options.SentinelPassword);
        var sentinels = await ConnectionMultiplexer.SentinelConnectAsync(forSentinels);
        ConnectionMultiplexer? connection = null;
        try
        {
            connection = sentinels.GetSentinelMasterConnection(options);
            // The client also returns a connection to the Sentinels themselves, if none of them names a primary.
            if (connection.GetServers().Any(s => s.IsConnected && s.ServerType != ServerType.Sentinel))
                return connection;
            throw new TimeoutException("No Sentinel is reachable, or none knows a reachable primary of this service");
        }
        catch
        {
            // The client subscribes to the Sentinels only when it connects, so the next attempt needs a new connection.
            if (connection is not null) await connection.DisposeAsync();
            await sentinels.DisposeAsync();
            throw;
        }
    }
}
