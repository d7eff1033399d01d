using System.Text.Json;
using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Core.Workers;

/// <summary>What is known of pods, for every gateway. Each pod is written by its own host only.</summary>
public sealed class PodStore(RedisStore redis)
{
    private static readonly Script Beat = Script.Load("host-beat");

    // Hosts and the endpoints that have pods are few and are read together.
    private static readonly RedisKey Hosts = "sluice:{hosts}:expiry";
    private static readonly RedisKey Endpoints = "sluice:{hosts}:endpoints";

    public async Task PutAsync(Pod pod, CancellationToken ct)
    {
        await redis.Database.SetAddAsync(Endpoints, pod.EndpointId).WaitAsync(ct);
        await redis.Database.HashSetAsync(Key(pod.EndpointId), pod.Id, JsonSerializer.Serialize(pod, PodJson.Default.Pod))
            .WaitAsync(ct);
    }

    public Task RemoveAsync(string endpointId, string podId, CancellationToken ct) =>
        redis.Database.HashDeleteAsync(Key(endpointId), podId).WaitAsync(ct);

    /// <summary>The endpoint's pods, oldest first.</summary>
    public async Task<IReadOnlyList<Pod>> ListAsync(string endpointId, CancellationToken ct)
    {
        var all = await redis.Database.HashGetAllAsync(Key(endpointId)).WaitAsync(ct);
        return [.. all.Select(p => JsonSerializer.Deserialize((string)p.Value!, PodJson.Default.Pod)!)
            .OrderBy(p => p.StartedAt)];
    }

    /// <summary>Endpoints that have or had pods.</summary>
    public async Task<IReadOnlyList<string>> EndpointsAsync(CancellationToken ct) =>
        [.. (await redis.Database.SetMembersAsync(Endpoints).WaitAsync(ct)).Select(e => (string)e!)];

    public async Task ForgetEndpointAsync(string endpointId, CancellationToken ct)
    {
        await redis.Database.KeyDeleteAsync(Key(endpointId)).WaitAsync(ct);
        await redis.Database.SetRemoveAsync(Endpoints, endpointId).WaitAsync(ct);
    }

    /// <summary>Says that this host lives; returns the hosts that live.</summary>
    public async Task<IReadOnlySet<string>> BeatAsync(string hostId, TimeSpan lease, CancellationToken ct)
    {
        var living = await Beat.RunAsync(redis.Database, [Hosts], [hostId, (long)lease.TotalMilliseconds]).WaitAsync(ct);
        return ((string[])living).ToHashSet();
    }

    private static RedisKey Key(string endpointId) => $"sluice:{{{endpointId}}}:pods";
}
