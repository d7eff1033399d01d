using System.Text.Json;
using System.Text.Json.Serialization;
using Sluice.Core.Jobs;
using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Core.Dispatch;

/// <summary>
/// Where slots come from: workers enter and leave dispatch here. Each method may be called again with the same pod
/// without harm.
/// </summary>
public sealed class WorkerSlotStore(RedisStore redis)
{
    private readonly DispatchScripts scripts = new(redis);

    /// <summary>Raised with an endpoint id when tickets queue for it: it may need workers now.</summary>
    public event Action<string>? Woken;

    /// <summary>Adds a ready worker's slots, and grants them to waiting tickets.</summary>
    public async Task UpAsync(string endpointId, WorkerAddress worker, CancellationToken ct)
    {
        var keys = new DispatchKeys(endpointId);
        var json = JsonSerializer.Serialize(worker, DispatchJson.Default.WorkerAddress);
        await scripts.WorkerUpAsync(keys, worker.PodId, json, worker.Concurrency).WaitAsync(ct);
        await GrantAsync(endpointId, ct);
    }

    /// <summary>Stops granting a worker's slots; those in use stay valid until given back.</summary>
    public Task DrainAsync(string endpointId, string podId, CancellationToken ct) =>
        scripts.WorkerDrainAsync(new DispatchKeys(endpointId), endpointId, podId).WaitAsync(ct);

    /// <summary>Forgets a worker that is gone.</summary>
    public Task DownAsync(string endpointId, string podId, CancellationToken ct) =>
        scripts.WorkerDownAsync(new DispatchKeys(endpointId), endpointId, podId).WaitAsync(ct);

    /// <summary>Reads everything about one endpoint.</summary>
    public Task<EndpointSnapshot> SnapshotAsync(string endpointId, CancellationToken ct) =>
        scripts.SnapshotAsync(new DispatchKeys(endpointId)).WaitAsync(ct);

    /// <summary>Ends the leases of gateways that stopped renewing, and grants what they held.</summary>
    public async Task<ReapAnswer> ReapAsync(string endpointId, CancellationToken ct)
    {
        var keys = new DispatchKeys(endpointId);
        var reaped = await scripts.ReapAsync(keys, Leases.AcceptWithin, Leases.ReapGap).WaitAsync(ct);
        if (reaped != default) await GrantAsync(endpointId, ct);
        return reaped;
    }

    /// <summary>
    /// Stores (or, with null, deletes) the reason why no worker of this endpoint can start. While it is stored and no worker is up, requests are
    /// answered 503 with it instead of waiting. It expires at its <see cref="BlockedStart.RetryAt"/>: a leader that is gone cannot block an
    /// endpoint for ever.
    /// </summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="blocked">The reason; null: workers can start.</param>
    /// <param name="now">The time by the clock that made <see cref="BlockedStart.RetryAt"/>.</param>
    /// <param name="ct">Ends the call.</param>
    public async Task BlockAsync(string endpointId, BlockedStart? blocked, DateTimeOffset now, CancellationToken ct)
    {
        var keys = new DispatchKeys(endpointId);
        if (blocked is null || blocked.RetryAt <= now)
        {
            await redis.Database.KeyDeleteAsync(keys.Blocked).WaitAsync(ct);
            return;
        }

        var json = JsonSerializer.Serialize(blocked, DispatchJson.Default.BlockedStart);
        await scripts.BlockAsync(keys, json, blocked.IsOpenEnded ? TimeSpan.Zero : blocked.RetryAt - now, counts: !blocked.ByPolicy).WaitAsync(ct);
        await redis.Subscriber.PublishAsync(DispatchChannels.All, $"blocked|{endpointId}|").WaitAsync(ct);
    }

    /// <summary>Deletes the count of refused requests: a start was ordered for them, or they are none of a failed start.</summary>
    public Task ForgetRefusedAsync(string endpointId, CancellationToken ct) =>
        redis.Database.HashDeleteAsync(new DispatchKeys(endpointId).Meta, "refused").WaitAsync(ct);

    /// <summary>Why requests of this endpoint would be refused now because no worker can start; null: they would not.</summary>
    public async Task<BlockedStart?> WhyBlockedAsync(string endpointId, CancellationToken ct)
    {
        var (blocked, up) = await BlockedAsync(new DispatchKeys(endpointId)).WaitAsync(ct);
        return up ? null : blocked;
    }

    /// <summary>The worker with the most free slots, or null when none is ready. Takes no slot.</summary>
    public async Task<WorkerAddress?> FindWorkerAsync(string endpointId, CancellationToken ct)
    {
        var keys = new DispatchKeys(endpointId);
        var pods = await redis.Database.SortedSetRangeByRankAsync(keys.Free, 0, 0, Order.Descending).WaitAsync(ct);
        return pods.Length > 0 && await AddressesAsync(keys, [(string)pods[0]!]).WaitAsync(ct) is [var worker, ..] ? worker : null;
    }

    internal void Wake(string endpointId) => Woken?.Invoke(endpointId);

    /// <summary>Where these pods are; a pod that is gone is missing from the answer.</summary>
    internal async Task<IReadOnlyList<WorkerAddress>> AddressesAsync(DispatchKeys keys, string[] pods)
    {
        var values = await redis.Database.HashGetAsync(keys.Workers, [.. pods.Select(p => (RedisValue)p)]);
        return [.. values.Where(v => v.HasValue)
            .Select(v => JsonSerializer.Deserialize((string)v!, DispatchJson.Default.WorkerAddress)!)];
    }

    /// <summary>Why the endpoint's workers cannot start, or null, and whether any worker is up.</summary>
    internal async Task<(BlockedStart? Blocked, bool Up)> BlockedAsync(DispatchKeys keys)
    {
        var blocked = redis.Database.StringGetAsync(keys.Blocked);
        var up = redis.Database.HashLengthAsync(keys.Capacity);
        return (ReadBlocked(await blocked), await up > 0);
    }

    /// <summary>Why the endpoint is blocked, or null.</summary>
    internal static BlockedStart? ReadBlocked(string? json) =>
        string.IsNullOrEmpty(json) ? null : JsonSerializer.Deserialize(json, DispatchJson.Default.BlockedStart);

    /// <summary>Tells every gateway that slots are free although tickets wait: jobs' tickets are granted only to the
    /// gateway that then runs them.</summary>
    public Task OfferAsync(string endpointId, CancellationToken ct) =>
        redis.Subscriber.PublishAsync(DispatchChannels.All, $"free|{endpointId}|").WaitAsync(ct);

    private async Task GrantAsync(string endpointId, CancellationToken ct)
    {
        var answer = await scripts.ReleaseAsync(new JobKeys(endpointId), endpointId, "", [], [], claims: false).WaitAsync(ct);
        if (answer.Depth > 0) await OfferAsync(endpointId, ct);
    }
}

/// <summary>Why an endpoint's workers do not start, in words for the client, and when the next try is.</summary>
/// <param name="Reason">Why.</param>
/// <param name="RetryAt">When requests are accepted again; <see cref="DateTimeOffset.MaxValue"/>: when an operator changes something.</param>
/// <param name="ByPolicy">An operator's setting (a pause, a spend limit), not a fault.</param>
/// <param name="PublicReason">What clients without a key are told, where the reason has a worker's own words; null: the reason.</param>
public sealed record BlockedStart(string Reason, DateTimeOffset RetryAt, bool ByPolicy = false, string? PublicReason = null)
{
    /// <summary>When a client should ask again where no time is known: an operator may end the block at any moment.</summary>
    private static readonly TimeSpan AskAgain = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan Soonest = TimeSpan.FromSeconds(1);

    /// <summary>Whether the end of the block is not known.</summary>
    [JsonIgnore]
    public bool IsOpenEnded => RetryAt == DateTimeOffset.MaxValue;

    /// <summary>The reason, in the words that a client may hear.</summary>
    public string ReasonFor(bool anonymous) => anonymous ? PublicReason ?? Reason : Reason;

    /// <summary>The <c>Retry-After</c> of a refused request: until <see cref="RetryAt"/>, at least a second; 5 s where the end is not known.</summary>
    public TimeSpan RetryAfter(DateTimeOffset now) => IsOpenEnded ? AskAgain : RetryAt - now > Soonest ? RetryAt - now : Soonest;
}

/// <summary>How long dispatch trusts a gateway that says nothing.</summary>
public static class Leases
{
    /// <summary>A gateway's lease on its slots; renewed every <see cref="RenewEvery"/>.</summary>
    public static readonly TimeSpan Length = TimeSpan.FromSeconds(10);

    /// <summary>At most a third of <see cref="Length"/> (client-go's rule); also the poll under lost messages.</summary>
    public static readonly TimeSpan RenewEvery = TimeSpan.FromSeconds(1);

    /// <summary>Every gateway reaps each second. After a longer gap (Redis stood still) every lease looks old: their
    /// holders get the time to renew first.</summary>
    public static readonly TimeSpan ReapGap = TimeSpan.FromSeconds(4);

    /// <summary>A grant to another gateway's ticket is taken back when it was not accepted for this long.</summary>
    public static readonly TimeSpan AcceptWithin = TimeSpan.FromSeconds(3);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(WorkerAddress))]
[JsonSerializable(typeof(BlockedStart))]
internal sealed partial class DispatchJson : JsonSerializerContext;
