using System.Text.Json;
using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Core.Workers;

/// <summary>
/// What is known of pods, for every gateway. A pod's record is written by its own host only; what the leader wants of
/// it is a drain order beside it.
/// </summary>
public sealed class PodStore(RedisStore redis)
{
    private static readonly Script Beat = Script.Load("host-beat");

    // Hosts and the endpoints that have pods are few and are read together.
    private static readonly RedisKey Hosts = "sluice:{hosts}:expiry";
    private static readonly RedisKey Reports = "sluice:{hosts}:reports";
    private static readonly RedisKey Endpoints = "sluice:{hosts}:endpoints";

    public async Task PutAsync(Pod pod, CancellationToken ct)
    {
        await redis.Database.SetAddAsync(Endpoints, pod.EndpointId).WaitAsync(ct);
        await redis.Database.HashSetAsync(Key(pod.EndpointId), pod.Id, JsonSerializer.Serialize(pod, PodJson.Default.Pod))
            .WaitAsync(ct);
    }

    public async Task RemoveAsync(string endpointId, string podId, CancellationToken ct)
    {
        await redis.Database.HashDeleteAsync(Key(endpointId), podId).WaitAsync(ct);
        await redis.Database.SetRemoveAsync(Orders(endpointId), podId).WaitAsync(ct);
    }

    /// <summary>The endpoint's pods, oldest first.</summary>
    public async Task<IReadOnlyList<Pod>> ListAsync(string endpointId, CancellationToken ct)
    {
        var all = await redis.Database.HashGetAllAsync(Key(endpointId)).WaitAsync(ct);
        return [.. all.Select(p => JsonSerializer.Deserialize((string)p.Value!, PodJson.Default.Pod)!)
            .OrderBy(p => p.StartedAt)];
    }

    /// <summary>Tells a pod's host to drain and stop it.</summary>
    public Task OrderDrainAsync(string endpointId, string podId, CancellationToken ct) =>
        redis.Database.SetAddAsync(Orders(endpointId), podId).WaitAsync(ct);

    /// <summary>Pods that their hosts should drain and stop.</summary>
    public async Task<IReadOnlySet<string>> DrainOrdersAsync(string endpointId, CancellationToken ct) =>
        (await redis.Database.SetMembersAsync(Orders(endpointId)).WaitAsync(ct)).Select(p => (string)p!).ToHashSet();

    /// <summary>Endpoints that have or had pods.</summary>
    public async Task<IReadOnlyList<string>> EndpointsAsync(CancellationToken ct) =>
        [.. (await redis.Database.SetMembersAsync(Endpoints).WaitAsync(ct)).Select(e => (string)e!)];

    public async Task ForgetEndpointAsync(string endpointId, CancellationToken ct)
    {
        await redis.Database.KeyDeleteAsync([Key(endpointId), Orders(endpointId)]).WaitAsync(ct);
        await redis.Database.SetRemoveAsync(Endpoints, endpointId).WaitAsync(ct);
    }

    /// <summary>Says that this host lives (a lease of zero: no more); returns the hosts that live.</summary>
    public async Task<IReadOnlySet<string>> BeatAsync(string hostId, TimeSpan lease, CancellationToken ct)
    {
        var living = await Beat.RunAsync(redis.Database, [Hosts], [hostId, (long)lease.TotalMilliseconds]).WaitAsync(ct);
        return ((string[])living).ToHashSet();
    }

    /// <summary>Keeps what was found on a host.</summary>
    public Task PutReportAsync(HostReport report, CancellationToken ct) =>
        redis.Database.HashSetAsync(Reports, report.HostId, JsonSerializer.Serialize(report, PodJson.Default.HostReport)).WaitAsync(ct);

    /// <summary>What was found on the hosts that live; those of others are forgotten.</summary>
    public async Task<IReadOnlyList<HostReport>> ReportsAsync(CancellationToken ct)
    {
        var living = (await redis.Database.SortedSetRangeByRankAsync(Hosts).WaitAsync(ct)).Select(h => (string)h!).ToHashSet();
        var reports = new List<HostReport>();
        foreach (var entry in await redis.Database.HashGetAllAsync(Reports).WaitAsync(ct))
        {
            if (living.Contains((string)entry.Name!)) reports.Add(JsonSerializer.Deserialize((string)entry.Value!, PodJson.Default.HostReport)!);
            else await redis.Database.HashDeleteAsync(Reports, entry.Name).WaitAsync(ct);
        }

        return [.. reports.OrderBy(r => r.HostId, StringComparer.Ordinal)];
    }

    private static RedisKey Key(string endpointId) => $"sluice:{{{endpointId}}}:pods";

    private static RedisKey Orders(string endpointId) => $"sluice:{{{endpointId}}}:drain";
}
