using System.Text.Json;
using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Core.Workers;

/// <summary>What became of a leader's order.</summary>
public enum OrderAnswer
{
    /// <summary>It stands.</summary>
    Taken,

    /// <summary>The endpoint has as many pods as it may.</summary>
    Full,

    /// <summary>A later leader gives the orders.</summary>
    Stale,
}

/// <summary>An endpoint's pods at one moment.</summary>
/// <param name="Stale">The leader that looked is one no more: a later one has looked.</param>
/// <param name="Pods">Oldest first.</param>
/// <param name="Drain">Pods that their hosts should drain and stop.</param>
public sealed record FleetLook(bool Stale, IReadOnlyList<Pod> Pods, IReadOnlySet<string> Drain);

/// <summary>
/// What is known of pods, for every gateway. A pod's record is written by its own host only; what the leader wants of
/// it is a drain order beside it. Orders carry the leader's epoch, and are refused when a later leader has looked.
/// </summary>
public sealed class PodStore(RedisStore redis)
{
    private static readonly Script Beat = Script.Load("host-beat");
    private static readonly Script Look = Script.Load("fleet-look");
    private static readonly Script Start = Script.Load("pod-start");
    private static readonly Script Adopt = Script.Load("pod-adopt");
    private static readonly Script Put = Script.Load("pod-put");
    private static readonly Script Order = Script.Load("pod-orders");
    private static readonly Script Output = Script.Load("pod-output");

    // Hosts and the endpoints that have pods are few and are read together.
    private static readonly RedisKey Hosts = "sluice:{hosts}:expiry";
    private static readonly RedisKey Reports = "sluice:{hosts}:reports";
    private static readonly RedisKey Endpoints = "sluice:{hosts}:endpoints";

    /// <summary>A leader orders a pod: known from now on, unless a later leader gives the orders or there are <paramref name="max"/>.</summary>
    public async Task<OrderAnswer> StartAsync(Pod pod, long epoch, int max, CancellationToken ct)
    {
        await ControlWrite.RunAsync(redis.Database, Endpoints, "SADD", pod.EndpointId).WaitAsync(ct);
        var answer = (string)await Start.RunAsync(redis.Database, [Key(pod.EndpointId), Epoch(pod.EndpointId)],
            [epoch, pod.Id, Write(pod), pod.Fingerprint, max]).WaitAsync(ct);
        return answer switch
        {
            "ok" => OrderAnswer.Taken,
            "full" => OrderAnswer.Full,
            _ => OrderAnswer.Stale,
        };
    }

    /// <summary>Brings back a pod that runs and that Redis does not know any more; false: there is no room for it, it is to be
    /// stopped.</summary>
    public async Task<bool> AdoptAsync(Pod pod, int max, CancellationToken ct)
    {
        await ControlWrite.RunAsync(redis.Database, Endpoints, "SADD", pod.EndpointId).WaitAsync(ct);
        return (bool)await Adopt.RunAsync(redis.Database, [Key(pod.EndpointId)], [pod.Id, Write(pod), pod.Fingerprint, max]).WaitAsync(ct);
    }

    /// <summary>What has become of a pod; false: nobody knows it any more.</summary>
    public async Task<bool> PutAsync(Pod pod, CancellationToken ct) =>
        (bool)await Put.RunAsync(redis.Database, [Key(pod.EndpointId)], [pod.Id, Write(pod)]).WaitAsync(ct);

    /// <summary>Stores the last lines of a pod; of one that is not known any more nothing is stored.</summary>
    public Task PutOutputAsync(string endpointId, string podId, IReadOnlyList<string> lines, CancellationToken ct) =>
        Output.RunAsync(redis.Database, [Key(endpointId), OutputKey(endpointId)],
            [podId, JsonSerializer.Serialize([.. lines], PodJson.Default.StringArray)]).WaitAsync(ct);

    /// <summary>The last lines of an endpoint's pods, by pod. A pod that has written nothing is missing.</summary>
    public async Task<IReadOnlyDictionary<string, IReadOnlyList<string>>> OutputsAsync(string endpointId, CancellationToken ct) =>
        (await redis.Database.HashGetAllAsync(OutputKey(endpointId)).WaitAsync(ct)).ToDictionary(o => (string)o.Name!,
            o => (IReadOnlyList<string>)JsonSerializer.Deserialize((string)o.Value!, PodJson.Default.StringArray)!);

    public async Task RemoveAsync(string endpointId, string podId, CancellationToken ct)
    {
        await redis.Database.HashDeleteAsync(Key(endpointId), podId).WaitAsync(ct);
        await redis.Database.HashDeleteAsync(OutputKey(endpointId), podId).WaitAsync(ct);
        await redis.Database.SetRemoveAsync(Orders(endpointId), podId).WaitAsync(ct);
    }

    /// <summary>The endpoint's pods, oldest first.</summary>
    public async Task<IReadOnlyList<Pod>> ListAsync(string endpointId, CancellationToken ct) => (await LookAsync(endpointId, 0, ct)).Pods;

    /// <summary>The endpoint's pods and orders. With a leader's <paramref name="epoch"/> the orders of every earlier one are void from
    /// now on; 0: whoever looks does not lead.</summary>
    public async Task<FleetLook> LookAsync(string endpointId, long epoch, CancellationToken ct)
    {
        var answer = (RedisResult[])(await Look.RunAsync(redis.Database, [Key(endpointId), Orders(endpointId), Epoch(endpointId)], [epoch]).WaitAsync(ct))!;
        var pods = ((string[])answer[1]!).Select(p => JsonSerializer.Deserialize(p, PodJson.Default.Pod)!).OrderBy(p => p.StartedAt);
        return new FleetLook((bool)answer[0], [.. pods], ((string[])answer[2]!).ToHashSet());
    }

    /// <summary>Tells hosts which pods to drain and stop, and which of those are wanted back; false: a later leader gives the orders.</summary>
    public async Task<bool> OrderAsync(string endpointId, long epoch, IReadOnlyList<string> drain, IReadOnlyList<string> resume, CancellationToken ct) =>
        (bool)await Order.RunAsync(redis.Database, [Key(endpointId), Orders(endpointId), Epoch(endpointId)],
            [epoch, drain.Count, .. drain.Concat(resume).Select(p => (RedisValue)p)]).WaitAsync(ct);

    /// <summary>Endpoints that have or had pods.</summary>
    public async Task<IReadOnlyList<string>> EndpointsAsync(CancellationToken ct) =>
        [.. (await redis.Database.SetMembersAsync(Endpoints).WaitAsync(ct)).Select(e => (string)e!)];

    public async Task ForgetEndpointAsync(string endpointId, CancellationToken ct)
    {
        await redis.Database.KeyDeleteAsync([Key(endpointId), OutputKey(endpointId), Orders(endpointId), Epoch(endpointId)]).WaitAsync(ct);
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
        ControlWrite.RunAsync(redis.Database, Reports, "HSET", report.HostId, JsonSerializer.Serialize(report, PodJson.Default.HostReport)).WaitAsync(ct);

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

    /// <summary>See <see cref="RedisStore.OnReconnected"/>.</summary>
    public void OnReconnected(Action callback) => redis.OnReconnected(callback);

    private static RedisKey Key(string endpointId) => $"sluice:{{{endpointId}}}:pods";

    private static RedisKey OutputKey(string endpointId) => $"sluice:{{{endpointId}}}:output";

    private static RedisKey Orders(string endpointId) => $"sluice:{{{endpointId}}}:drain";

    private static RedisKey Epoch(string endpointId) => $"sluice:{{{endpointId}}}:epoch";

    private static string Write(Pod pod) => JsonSerializer.Serialize(pod, PodJson.Default.Pod);
}
