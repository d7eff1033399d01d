using System.Text.Json;
using Sluice.Domain.Fleet;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Fleet;

/// <summary>
/// Stores the state of pods in Redis, for every gateway. Only a pod's own host writes its record (on a
/// shared host, the leader takes it over from a lost one); the leader's drain
/// orders are stored separately. Orders carry the leader's epoch, and are rejected when a later leader has read the
/// endpoint.
/// </summary>
public sealed class PodStore(RedisStore redis)
{
    private static readonly Script Look = Script.Load("fleet-look");
    private static readonly Script Start = Script.Load("pod-start");
    private static readonly Script Adopt = Script.Load("pod-adopt");
    private static readonly Script Put = Script.Load("pod-put");
    private static readonly Script Order = Script.Load("pod-orders");
    private static readonly Script Output = Script.Load("pod-output");
    private static readonly Script Take = Script.Load("order-take");
    private static readonly Script Withdraw = Script.Load("order-withdraw");

    private readonly SchemaStore leases = new(redis);

    // The hosts, and the endpoints that have pods, are few and are read together.
    private static readonly RedisKey Hosts = "sluice:{hosts}:expiry";
    private static readonly RedisKey Reports = "sluice:{hosts}:reports";
    private static readonly RedisKey Endpoints = "sluice:{hosts}:endpoints";

    /// <summary>
    /// Stores a leader's order of a pod, unless a later leader exists or the endpoint has <paramref name="max"/> pods.
    /// </summary>
    public Task<StartDecision> StartAsync(Pod pod, long epoch, int max, CancellationToken ct) =>
        StartAsync(pod, epoch, max, TimeSpan.Zero, ct);

    /// <summary>
    /// Stores a leader's order of a pod on the host of another gateway. The pod counts from now on, until the order is
    /// withdrawn.
    /// </summary>
    /// <param name="pod">The record, with <see cref="Pod.OrderedIn"/>.</param>
    /// <param name="epoch">The leader's epoch.</param>
    /// <param name="max">Largest number of pods of the endpoint.</param>
    /// <param name="valid">How long the host may take the order; zero: the caller starts the pod.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task<StartDecision> StartAsync(Pod pod, long epoch, int max, TimeSpan valid, CancellationToken ct)
    {
        await ReservedWrite.RunAsync(redis.Database, Endpoints, "SADD", pod.EndpointId).WaitAsync(ct);
        RedisKey[] keys = [Key(pod.EndpointId), Epoch(pod.EndpointId), OpenOrders(pod.EndpointId)];
        var answer = await Start.RunAsync(redis.Database, keys,
            [epoch, pod.Id, Write(pod), pod.Fingerprint, max, (long)valid.TotalMilliseconds]).WaitAsync(ct);
        return answer.Text() switch
        {
            "ok" => StartDecision.Taken,
            "full" => StartDecision.Full,
            _ => StartDecision.Stale,
        };
    }

    /// <summary>Takes an order for its host. Returns false if it has ended or was withdrawn.</summary>
    /// <param name="pod">The record, without the order.</param>
    /// <param name="ct">Cancels the call; the order may be taken by then.</param>
    public async Task<bool> TakeOrderAsync(Pod pod, CancellationToken ct) =>
        (bool)await Take.RunAsync(redis.Database, [Key(pod.EndpointId), OpenOrders(pod.EndpointId)],
            [pod.Id, Write(pod), pod.HostId]).WaitAsync(ct);

    /// <summary>Removes a pod whose order its host has not taken. Returns whether it was removed.</summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="podId">The pod.</param>
    /// <param name="epoch">The leader's epoch; 0: the pod's host refuses the order.</param>
    /// <param name="early">Whether to remove it also before the end of the order.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task<bool> WithdrawOrderAsync(
        string endpointId, string podId, long epoch, bool early, CancellationToken ct)
    {
        RedisKey[] keys = [Key(endpointId), OpenOrders(endpointId), Orders(endpointId), Epoch(endpointId)];
        return (bool)await Withdraw.RunAsync(redis.Database, keys, [epoch, podId, early ? 1 : 0]).WaitAsync(ct);
    }

    /// <summary>Restores the record of a running pod that Redis has lost.</summary>
    /// <returns>False if the endpoint has no room for the pod, which must then stop.</returns>
    public async Task<bool> AdoptAsync(Pod pod, int max, CancellationToken ct)
    {
        await ReservedWrite.RunAsync(redis.Database, Endpoints, "SADD", pod.EndpointId).WaitAsync(ct);
        var added = await Adopt.RunAsync(redis.Database, [Key(pod.EndpointId)],
            [pod.Id, Write(pod), pod.Fingerprint, max]).WaitAsync(ct);
        return (bool)added;
    }

    /// <summary>
    /// Stores a pod's current record. Returns false if the pod has no record in Redis, or belongs to another host.
    /// </summary>
    public async Task<bool> PutAsync(Pod pod, CancellationToken ct) =>
        (bool)await Put.RunAsync(redis.Database, [Key(pod.EndpointId)], [pod.Id, Write(pod), pod.HostId]).WaitAsync(ct);

    /// <summary>
    /// Makes a host the owner of a running pod whose host is lost. Returns false if the pod has another owner.
    /// </summary>
    /// <param name="pod">The record, with the new host.</param>
    /// <param name="lostHost">The host that owns it now.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task<bool> TakeAsync(Pod pod, string lostHost, CancellationToken ct) =>
        (bool)await Put.RunAsync(redis.Database, [Key(pod.EndpointId)], [pod.Id, Write(pod), lostHost]).WaitAsync(ct);

    /// <summary>Stores the last output lines of a pod. The call has no effect if the pod has no record.</summary>
    public Task PutOutputAsync(string endpointId, string podId, IReadOnlyList<string> lines, CancellationToken ct) =>
        Output.RunAsync(redis.Database, [Key(endpointId), OutputKey(endpointId)],
            [podId, JsonSerializer.Serialize([.. lines], PodJson.Default.StringArray)]).WaitAsync(ct);

    /// <summary>
    /// Returns the last output lines of an endpoint's pods, by pod id. A pod without output is missing.
    /// </summary>
    public async Task<IReadOnlyDictionary<string, IReadOnlyList<string>>> OutputsAsync(
        string endpointId,
        CancellationToken ct)
    {
        var outputs = await redis.Database.HashGetAllAsync(OutputKey(endpointId)).WaitAsync(ct);
        return outputs.ToDictionary(o => (string)o.Name!,
            o => (IReadOnlyList<string>)JsonSerializer.Deserialize((string)o.Value!, PodJson.Default.StringArray)!);
    }

    /// <summary>Removes a pod's record, its output and its drain order.</summary>
    public async Task RemoveAsync(string endpointId, string podId, CancellationToken ct)
    {
        await redis.Database.HashDeleteAsync(Key(endpointId), podId).WaitAsync(ct);
        await redis.Database.HashDeleteAsync(OutputKey(endpointId), podId).WaitAsync(ct);
        await redis.Database.HashDeleteAsync(OpenOrders(endpointId), podId).WaitAsync(ct);
        await redis.Database.SetRemoveAsync(Orders(endpointId), podId).WaitAsync(ct);
    }

    /// <summary>Returns the endpoint's pods, oldest first.</summary>
    public async Task<IReadOnlyList<Pod>> ListAsync(string endpointId, CancellationToken ct) =>
        (await ReadAsync(endpointId, 0, ct)).Pods;

    /// <summary>Returns the endpoint's pods and drain orders.</summary>
    /// <param name="endpointId">The endpoint's id.</param>
    /// <param name="epoch">
    /// The leader's epoch, which invalidates the orders of every earlier leader; 0: the caller does not lead.
    /// </param>
    /// <param name="ct">Cancels the call.</param>
    public async Task<FleetSnapshot> ReadAsync(string endpointId, long epoch, CancellationToken ct)
    {
        RedisKey[] keys = [Key(endpointId), Orders(endpointId), Epoch(endpointId)];
        var answer = (RedisResult[])(await Look.RunAsync(redis.Database, keys, [epoch]).WaitAsync(ct))!;
        var pods = ((string[])answer[1]!)
            .Select(p => JsonSerializer.Deserialize(p, PodJson.Default.Pod)!)
            .OrderBy(p => p.StartedAt);
        return new FleetSnapshot((bool)answer[0], [.. pods], ((string[])answer[2]!).ToHashSet());
    }

    /// <summary>Stores the leader's orders for the hosts.</summary>
    /// <param name="endpointId">The endpoint's id.</param>
    /// <param name="epoch">The leader's epoch.</param>
    /// <param name="drain">Pods to drain and stop.</param>
    /// <param name="resume">Pods whose drain order is removed.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <returns>False if a later leader exists.</returns>
    public async Task<bool> SetDrainAsync(
        string endpointId,
        long epoch,
        IReadOnlyList<string> drain,
        IReadOnlyList<string> resume,
        CancellationToken ct) =>
        (bool)await Order.RunAsync(redis.Database, [Key(endpointId), Orders(endpointId), Epoch(endpointId)],
            [epoch, drain.Count, .. drain.Concat(resume).Select(p => (RedisValue)p)]).WaitAsync(ct);

    /// <summary>Returns the endpoints that have or had pods.</summary>
    public async Task<IReadOnlyList<string>> EndpointsAsync(CancellationToken ct) =>
        [.. (await redis.Database.SetMembersAsync(Endpoints).WaitAsync(ct)).Select(e => (string)e!)];

    /// <summary>Removes everything that is stored of an endpoint's pods.</summary>
    public async Task RemoveEndpointAsync(string endpointId, CancellationToken ct)
    {
        RedisKey[] keys = [Key(endpointId), OutputKey(endpointId), Orders(endpointId), Epoch(endpointId),
            OpenOrders(endpointId)];
        await redis.Database.KeyDeleteAsync(keys).WaitAsync(ct);
        await redis.Database.SetRemoveAsync(Endpoints, endpointId).WaitAsync(ct);
    }

    /// <inheritdoc cref="SchemaStore.RenewAsync"/>
    public Task<IReadOnlySet<string>> RenewHostAsync(string hostId, TimeSpan lease, CancellationToken ct) =>
        leases.RenewAsync(hostId, lease, ct);

    /// <summary>Returns the number of hosts with a valid lease: each gateway is a host.</summary>
    public Task<long> CountHostsAsync(DateTimeOffset now, CancellationToken ct) =>
        redis.Database.SortedSetLengthAsync(Hosts, now.ToUnixTimeMilliseconds(), exclude: Exclude.Start).WaitAsync(ct);

    /// <summary>Stores a host's examination report.</summary>
    public Task PutReportAsync(HostReport report, CancellationToken ct) =>
        ReservedWrite.RunAsync(redis.Database, Reports, "HSET", report.HostId,
            JsonSerializer.Serialize(report, PodJson.Default.HostReport)).WaitAsync(ct);

    /// <summary>Returns the reports of the hosts with a valid lease, and deletes those of all others.</summary>
    public async Task<IReadOnlyList<HostReport>> ReportsAsync(CancellationToken ct)
    {
        var hosts = await redis.Database.SortedSetRangeByRankAsync(Hosts).WaitAsync(ct);
        var living = hosts.Select(h => (string)h!).ToHashSet();
        var reports = new List<HostReport>();
        foreach (var entry in await redis.Database.HashGetAllAsync(Reports).WaitAsync(ct))
        {
            if (living.Contains((string)entry.Name!))
                reports.Add(JsonSerializer.Deserialize((string)entry.Value!, PodJson.Default.HostReport)!);
            else
                await redis.Database.HashDeleteAsync(Reports, entry.Name).WaitAsync(ct);
        }

        return [.. reports.OrderBy(r => r.HostId, StringComparer.Ordinal)];
    }

    /// <summary>See <see cref="RedisStore.OnReconnected"/>.</summary>
    public void OnReconnected(Action callback) => redis.OnReconnected(callback);

    private static RedisKey Key(string endpointId) => $"sluice:{{{endpointId}}}:pods";

    private static RedisKey OutputKey(string endpointId) => $"sluice:{{{endpointId}}}:output";

    private static RedisKey Orders(string endpointId) => $"sluice:{{{endpointId}}}:drain";

    private static RedisKey OpenOrders(string endpointId) => $"sluice:{{{endpointId}}}:orders";

    private static RedisKey Epoch(string endpointId) => $"sluice:{{{endpointId}}}:epoch";

    private static string Write(Pod pod) => JsonSerializer.Serialize(pod, PodJson.Default.Pod);
}
