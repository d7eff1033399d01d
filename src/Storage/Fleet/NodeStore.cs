using System.Text.Json;
using Sluice.Domain.Nodes;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Fleet;

/// <summary>
/// Stores the nodes that gateways announce, and which of them have orders. An announcement is valid as long as the
/// lease of its gateway.
/// </summary>
public sealed class NodeStore(RedisStore redis)
{
    private static readonly Script Announce = Script.Load("node-announce");

    private static readonly RedisKey Hosts = "sluice:{hosts}:expiry";
    private static readonly RedisKey Nodes = "sluice:{hosts}:nodes";
    private static readonly RedisKey Workers = "sluice:{hosts}:node-workers";

    /// <summary>
    /// Time after which the list of a host's orders is deleted: each order in it has ended long before.
    /// </summary>
    private static readonly TimeSpan ListedFor = TimeSpan.FromMinutes(1);

    /// <summary>Writes a node as it is stored.</summary>
    public static string Write(FleetNode node) => JsonSerializer.Serialize(node, FleetNodeJson.Default.FleetNode);

    /// <summary>Announces a node.</summary>
    /// <param name="hostId">The host of the gateway.</param>
    /// <param name="node">The node as JSON; null: it has not changed since the last call.</param>
    /// <param name="workers">The workers that run or start on it.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <returns>False if the node has not changed, but Redis does not have it.</returns>
    public async Task<bool> AnnounceAsync(string hostId, string? node, int workers, CancellationToken ct) =>
        (bool)await Announce.RunAsync(redis.Database, [Hosts, Nodes, Workers], [hostId, node ?? "", workers])
            .WaitAsync(ct);

    /// <summary>Ends the announcement of a host's node: its gateway stops, or has a host of another kind.</summary>
    public Task WithdrawAsync(string hostId, CancellationToken ct) =>
        Announce.RunAsync(redis.Database, [Hosts, Nodes, Workers], [hostId, "-", 0]).WaitAsync(ct);

    /// <summary>Returns the announced nodes of the hosts with a lease as JSON, with their workers.</summary>
    public async Task<IReadOnlyList<(string Json, int Workers)>> ListAsync(CancellationToken ct)
    {
        var (expiry, nodes, workers) = (redis.Database.SortedSetRangeByScoreAsync(Hosts),
            redis.Database.HashGetAllAsync(Nodes), redis.Database.HashGetAllAsync(Workers));
        await Task.WhenAll(expiry, nodes, workers).WaitAsync(ct);
        var living = (await expiry).Select(h => (string)h!).ToHashSet();
        var counts = (await workers).ToDictionary(w => (string)w.Name!, w => (int)w.Value);
        return
        [
            .. (await nodes).Where(n => living.Contains((string)n.Name!))
                .OrderBy(n => (string)n.Name!, StringComparer.Ordinal)
                .Select(n => ((string)n.Value!, counts.GetValueOrDefault((string)n.Name!))),
        ];
    }

    /// <summary>Adds an order to the list that its host reads.</summary>
    public async Task AddOrderAsync(string hostId, string endpointId, string podId, CancellationToken ct)
    {
        await ReservedWrite.RunAsync(redis.Database, Orders(hostId), "SADD", $"{endpointId}|{podId}").WaitAsync(ct);
        await redis.Database.KeyExpireAsync(Orders(hostId), ListedFor).WaitAsync(ct);
    }

    /// <summary>Returns the endpoints and pods of a host's orders, which may have ended.</summary>
    public async Task<IReadOnlyList<(string EndpointId, string PodId)>> OrdersAsync(string hostId, CancellationToken ct)
    {
        var entries = await redis.Database.SetMembersAsync(Orders(hostId)).WaitAsync(ct);
        return [.. entries.Select(e => ((string)e!).Split('|', 2)).Select(p => (p[0], p[1]))];
    }

    /// <summary>Removes an order from the list that its host reads.</summary>
    public Task RemoveOrderAsync(string hostId, string endpointId, string podId, CancellationToken ct) =>
        redis.Database.SetRemoveAsync(Orders(hostId), $"{endpointId}|{podId}").WaitAsync(ct);

    private static RedisKey Orders(string hostId) =>
        $"sluice:{{hosts}}:orders:{hostId}";
}
