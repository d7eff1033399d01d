using StackExchange.Redis;

namespace Sluice.Storage.Redis;

/// <summary>The options of each connection to Redis.</summary>
public static class RedisClientOptions
{
    private const int ConnectTimeoutMs = 2000;

    /// <summary>
    /// How often the client reads the role of each of several servers. Without it, the client uses a promoted replica
    /// up to a minute later.
    /// </summary>
    private const int RoleCheckSeconds = 1;

    /// <summary>Parses an address and adds the options.</summary>
    /// <param name="settings">The address in the form of StackExchange.Redis.</param>
    public static ConfigurationOptions Parse(string settings)
    {
        var options = ConfigurationOptions.Parse(settings);
        options.ClientName = "sluice";
        // The client treats INFO as an admin command.
        options.AllowAdmin = true;
        options.AbortOnConnectFail = false;
        options.ConnectTimeout = ConnectTimeoutMs;
        options.SyncTimeout = 5000;
        options.KeepAlive = 5;
        // Without a connection, a command fails immediately. A command that the client queued would be executed after
        // its caller has reported a failure.
        options.BacklogPolicy = BacklogPolicy.FailFast;
        // The default policy waits for up to 10 s after a long outage. The client checks the policy once a second, so
        // it connects within 2 s after Redis is back.
        options.ReconnectRetryPolicy = new LinearRetry(ConnectTimeoutMs / 2);
        // RESP3 is not faster, and the client opens two connections with it too (ADR 72).
        options.Protocol = RedisProtocol.Resp2;
        // The details are counters of the client. The log contains the command and the cause without them.
        options.IncludeDetailInExceptions = false;
        if (options.EndPoints.Count > 1 || options.ServiceName is not null)
            options.ConfigCheckSeconds = RoleCheckSeconds;
        return options;
    }
}
