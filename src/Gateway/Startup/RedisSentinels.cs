using System.Globalization;
using System.Net;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Gateway.Startup;

/// <summary>
/// Connects to the primary that Sentinels name, to no other server, and follows each failover.
/// </summary>
/// <remarks>
/// The client's own support of Sentinels connects to all servers. When a failed primary returns, it is a primary until
/// the Sentinels make it a replica about 10 s later; of two primaries, the client then selects the first in its list
/// (<c>NominatePreferredPrimary</c> of StackExchange.Redis). What is written to it is lost (ADR 128).
/// </remarks>
internal sealed partial class RedisSentinels : IAsyncDisposable
{
    private const string SwitchChannel = "+switch-master";

    /// <summary>How often the Sentinels are asked, because a message can be lost.</summary>
    private static readonly TimeSpan AskEvery = TimeSpan.FromSeconds(1);

    /// <summary>How long one Sentinel may take. The others are used without it.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly ConfigurationOptions options;
    private readonly ConnectionMultiplexer sentinels;
    private readonly TimeProvider time;
    private readonly ILogger logger;
    private readonly SemaphoreSlim switched = new(0);
    private SentinelReport? used;
    private bool listens;

    private RedisSentinels(
        ConfigurationOptions options, ConnectionMultiplexer sentinels, TimeProvider time, ILogger logger)
    {
        (this.options, this.sentinels, this.time, this.logger) = (options, sentinels, time, logger);
    }

    /// <summary>
    /// Connects to the primary of the service, and replaces the connection with each failover until it is closed.
    /// </summary>
    /// <param name="options">The addresses of the Sentinels, the name of the service, and the credentials.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">Receives each change of the primary.</param>
    /// <exception cref="TimeoutException">No Sentinel is reachable, none knows the service, or its primary is not
    /// reachable. The client reports some of these as a <see cref="RedisException"/>.</exception>
    public static async Task<RedisConnection> ConnectAsync(
        ConfigurationOptions options, TimeProvider time, ILogger logger)
    {
        var sentinels = await OpenAsync(options, time, logger);
        try
        {
            var connection = await sentinels.ConnectPrimaryAsync();
            _ = sentinels.FollowAsync(connection);
            return connection;
        }
        catch
        {
            await sentinels.DisposeAsync();
            throw;
        }
    }

    /// <summary>Connects to the primary and all replicas that the Sentinels know, once.</summary>
    /// <inheritdoc cref="ConnectAsync"/>
    public static async Task<ConnectionMultiplexer> ConnectAllAsync(
        ConfigurationOptions options, TimeProvider time, ILogger logger)
    {
        await using var sentinels = await OpenAsync(options, time, logger);
        var replicas = await sentinels.AskAllAsync(s => s.SentinelGetReplicaAddressesAsync(options.ServiceName!));
        var primary = await sentinels.FindPrimaryAsync() ?? throw NoPrimary();
        return await ConnectionMultiplexer.ConnectAsync(
            sentinels.To([primary.Primary, .. replicas.SelectMany(r => r).Distinct()]));
    }

    public async ValueTask DisposeAsync()
    {
        await sentinels.CloseAsync(allowCommandsToComplete: false);
        await sentinels.DisposeAsync();
        switched.Dispose();
    }

    private static async Task<RedisSentinels> OpenAsync(
        ConfigurationOptions options, TimeProvider time, ILogger logger)
    {
        var forSentinels = options.Clone();
        // Without separate credentials, these are those of Redis.
        (forSentinels.User, forSentinels.Password) = (options.SentinelUser, options.SentinelPassword);
        return new(options, await ConnectionMultiplexer.SentinelConnectAsync(forSentinels), time, logger);
    }

    private static TimeoutException NoPrimary() =>
        new("No Sentinel is reachable, or none knows a reachable primary of this service");

    private async Task<RedisConnection> ConnectPrimaryAsync()
    {
        used = await FindPrimaryAsync() ?? throw NoPrimary();
        var connection = await ConnectionMultiplexer.ConnectAsync(To([used.Primary]));
        if (connection.IsConnected) return new(connection, time);
        await connection.DisposeAsync();
        throw NoPrimary();
    }

    /// <summary>Replaces the connection with each failover until it is closed.</summary>
    private async Task FollowAsync(RedisConnection connection)
    {
        await using var all = this;
        var closed = connection.Closed;
        while (!closed.IsCancellationRequested)
        {
            try
            {
                if (!listens) await ListenAsync();
                await FollowOnceAsync(connection);
                await WaitAsync(closed);
            }
            catch (Exception e) when (!closed.IsCancellationRequested)
            {
                SentinelsUnreadable(logger, e.Message);
                await Task.Delay(AskEvery, time, closed).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (OperationCanceledException)
            {
                // The connection is closed.
            }
        }
    }

    private async Task FollowOnceAsync(RedisConnection connection)
    {
        if (await FindPrimaryAsync() is not { } found) return;
        var earlier = used!.Primary;
        var next = found.Primary.Equals(earlier) ? null : await ConnectionMultiplexer.ConnectAsync(To([found.Primary]));
        // Before the replacement: a callback that fails must not cause another one.
        used = found;
        if (next is null) return;
        RedisPrimaryChanged(logger, found.Primary.ToString()!, earlier.ToString()!);
        await connection.ReplaceAsync(next);
    }

    /// <summary>Subscribes to the message that a failover has ended.</summary>
    private async Task ListenAsync()
    {
        // The client keeps a subscription that failed, and makes it when it is connected.
        listens = true;
        await sentinels.GetSubscriber().SubscribeAsync(
            RedisChannel.Literal(SwitchChannel), (_, _) => switched.Release());
    }

    private async Task WaitAsync(CancellationToken closed)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(closed);
        await Task.WhenAny(switched.WaitAsync(stop.Token), Task.Delay(AskEvery, time, stop.Token));
        await stop.CancelAsync();
        closed.ThrowIfCancellationRequested();
    }

    private async Task<SentinelReport?> FindPrimaryAsync() =>
        SentinelReport.Choose(
            await AskAllAsync(ReportAsync), used?.ConfigEpoch ?? 0, sentinels.GetEndPoints().Length);

    /// <summary>
    /// Reads the epoch before the address. A failover between the two commands gives the new address with the old
    /// epoch, and the next question corrects it.
    /// </summary>
    private async Task<SentinelReport> ReportAsync(IServer sentinel)
    {
        var details = await sentinel.SentinelMasterAsync(options.ServiceName!);
        var text = details.FirstOrDefault(d => d.Key == "config-epoch").Value;
        var address = await sentinel.SentinelGetMasterAddressByNameAsync(options.ServiceName!);
        return address is not null && long.TryParse(text, CultureInfo.InvariantCulture, out var epoch)
            ? new(address, epoch) : throw NoPrimary();
    }

    /// <summary>Asks all Sentinels at the same time, and returns the answers that came in time.</summary>
    private async Task<List<T>> AskAllAsync<T>(Func<IServer, Task<T>> ask)
    {
        var answers = await Task.WhenAll(sentinels.GetServers().Where(s => s.IsConnected).Select(AskAsync));
        return [.. answers.SelectMany(a => a)];

        async Task<T[]> AskAsync(IServer sentinel)
        {
            try
            {
                return [await ask(sentinel).WaitAsync(Patience, time)];
            }
            catch (Exception e) when (e is RedisException or TimeoutException)
            {
                return [];
            }
        }
    }

    private ConfigurationOptions To(IEnumerable<EndPoint> servers)
    {
        var to = options.Clone();
        to.ServiceName = null;
        to.EndPoints.Clear();
        foreach (var server in servers) to.EndPoints.Add(server);
        return to;
    }

    [LoggerMessage(LogLevel.Warning, "The Sentinels named another primary of Redis: {Server}, not {Earlier}")]
    private static partial void RedisPrimaryChanged(ILogger logger, string server, string earlier);

    [LoggerMessage(LogLevel.Warning, "The Sentinels could not be asked for the primary of Redis: {Error}")]
    private static partial void SentinelsUnreadable(ILogger logger, string error);
}
