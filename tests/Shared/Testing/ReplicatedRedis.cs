using StackExchange.Redis;

namespace Sluice.Testing;

/// <summary>A primary of Redis with replicas, and Sentinels that promote a replica if the primary fails.</summary>
public sealed class ReplicatedRedis : IAsyncDisposable
{
    /// <summary>The service that the Sentinels monitor.</summary>
    public const string Service = "sluice";

    /// <summary>
    /// The silence after which the Sentinels replace the primary. A loaded machine can stop a process for a second.
    /// </summary>
    private static readonly TimeSpan DownAfter = TimeSpan.FromSeconds(2);

    private readonly List<RedisServer> servers = [];
    private readonly List<RedisServer> sentinels = [];

    private ReplicatedRedis()
    {
    }

    /// <summary>The connection through the Sentinels in the format of SLUICE_REDIS.</summary>
    public string ConnectionString =>
        $"{string.Join(',', sentinels.Select(s => s.Address))},serviceName={Service},password={RedisFixture.Password}";

    /// <summary>The connection to a list of all servers in the format of SLUICE_REDIS.</summary>
    public string ListOfServers =>
        $"{string.Join(',', servers.Select(s => s.Address))},password={RedisFixture.Password}";

    /// <summary>The servers that store data, the first primary first.</summary>
    public IReadOnlyList<RedisServer> Servers => servers;

    /// <summary>Starts the servers, and waits until the replicas are in step with the primary.</summary>
    /// <param name="replicas">The number of replicas.</param>
    /// <param name="sentinels">The number of Sentinels; 0: none.</param>
    public static async Task<ReplicatedRedis> StartAsync(int replicas, int sentinels)
    {
        var redis = new ReplicatedRedis();
        try
        {
            await redis.StartAllAsync(replicas, sentinels);
            return redis;
        }
        catch
        {
            await redis.DisposeAsync();
            throw;
        }
    }

    /// <summary>Returns the server that the Sentinels name as the primary now.</summary>
    public async Task<RedisServer> PrimaryAsync()
    {
        var named = (string[])(await sentinels[0].ExecuteAsync("SENTINEL", "get-master-addr-by-name", Service))!;
        return servers.Single(s => $"{s.Port}" == named[1]);
    }

    /// <summary>Kills the primary with SIGKILL, and returns it.</summary>
    public async Task<RedisServer> KillPrimaryAsync()
    {
        var primary = await PrimaryAsync();
        await primary.KillAsync();
        return primary;
    }

    /// <summary>Waits until the Sentinels have replaced a primary, and returns the new one.</summary>
    public async Task<RedisServer> PromotedAsync(RedisServer failed)
    {
        var primary = await Eventually.BecomesAsync(PrimaryAsync, p => p != failed, "another primary");
        await UntilAsync(primary, "replication", r => r.Contains("role:master", StringComparison.Ordinal));
        return primary;
    }

    /// <summary>
    /// Starts a killed server on its data, as the primary that it was, and waits until it is a replica of the primary.
    /// With Sentinels, they make it a replica.
    /// </summary>
    public static async Task ReturnAsync(RedisServer failed)
    {
        await failed.RestartAsync();
        await IsReplicaAsync(failed);
    }

    /// <summary>Waits until a server is a replica in step with the primary.</summary>
    public static Task IsReplicaAsync(RedisServer server) => UntilAsync(server, "replication", IsInStep);

    public async ValueTask DisposeAsync()
    {
        foreach (var server in sentinels.Concat(servers)) await server.DisposeAsync();
    }

    private async Task StartAllAsync(int replicas, int count)
    {
        var primary = await RedisServer.StartAsync();
        servers.Add(primary);
        for (var i = 0; i < replicas; i++) await AddReplicaAsync(primary);
        for (var i = 0; i < count; i++)
            sentinels.Add(await RedisServer.StartSentinelAsync(Service, primary, (count / 2) + 1, DownAfter));
        foreach (var sentinel in sentinels)
            await UntilAsync(sentinel, "sentinel",
                s => s.Contains($"slaves={replicas},sentinels={count}", StringComparison.Ordinal));
    }

    private async Task AddReplicaAsync(RedisServer primary)
    {
        var replica = await RedisServer.StartAsync();
        servers.Add(replica);
        await replica.ExecuteAsync("REPLICAOF", "127.0.0.1", $"{primary.Port}");
        await UntilAsync(replica, "replication", IsInStep);
    }

    private static bool IsInStep(string replication) =>
        replication.Contains("role:slave", StringComparison.Ordinal)
        && replication.Contains("master_link_status:up", StringComparison.Ordinal);

    private static async Task UntilAsync(RedisServer server, string section, Func<string, bool> holds) =>
        await Eventually.BecomesAsync(() => ReadInfoAsync(server, section), holds, section);

    private static async Task<string> ReadInfoAsync(RedisServer server, string section)
    {
        try
        {
            return (string)(await server.ExecuteAsync("INFO", section))!;
        }
        catch (RedisConnectionException e)
        {
            // Sentinels close all connections of a server whose role they change.
            return e.Message;
        }
    }
}
