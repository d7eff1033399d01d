using System.Text.Json;
using System.Text.Json.Serialization;
using Sluice.Domain.Fleet;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Queueing;

/// <summary>
/// Adds workers to dispatch and removes them. All methods are idempotent: they can be called again with the same pod.
/// </summary>
public sealed class WorkerSlotStore(RedisStore redis)
{
    private readonly DispatchScripts scripts = new(redis);

    /// <summary>
    /// Raised with an endpoint id when tickets are queued for it, or something else changed that the leader must see.
    /// </summary>
    public event Action<string>? Woken;

    /// <summary>Adds the slots of a ready worker and grants them to waiting tickets.</summary>
    public async Task UpAsync(string endpointId, WorkerAddress worker, CancellationToken ct)
    {
        var keys = new DispatchKeys(endpointId);
        var json = JsonSerializer.Serialize(worker, DispatchJson.Default.WorkerAddress);
        await scripts.WorkerUpAsync(keys, worker.PodId, json, worker.Concurrency, worker.Cache).WaitAsync(ct);
        await GrantAsync(endpointId, ct);
    }

    /// <summary>Stops granting the slots of a worker. Slots in use stay valid until they are returned.</summary>
    public Task DrainAsync(string endpointId, string podId, CancellationToken ct) =>
        scripts.WorkerDrainAsync(new DispatchKeys(endpointId), endpointId, podId).WaitAsync(ct);

    /// <summary>Removes a worker that is gone.</summary>
    public Task DownAsync(string endpointId, string podId, CancellationToken ct) =>
        scripts.WorkerDownAsync(new DispatchKeys(endpointId), endpointId, podId).WaitAsync(ct);

    /// <summary>Reads the dispatch state of one endpoint.</summary>
    public Task<EndpointSnapshot> SnapshotAsync(string endpointId, CancellationToken ct) =>
        scripts.SnapshotAsync(new DispatchKeys(endpointId)).WaitAsync(ct);

    /// <summary>Ends the leases of gateways that stopped renewing, and grants their slots to waiting tickets.</summary>
    public async Task<ReapAnswer> ReapAsync(string endpointId, CancellationToken ct)
    {
        var keys = new DispatchKeys(endpointId);
        var reaped = await scripts.ReapAsync(keys, Leases.AcceptWithin, Leases.ReapGap).WaitAsync(ct);
        if (reaped.Acted) await GrantAsync(endpointId, ct);
        return reaped;
    }

    /// <summary>
    /// Stores (or, with null, deletes) the reason why no worker of this endpoint can start. While it is stored and no
    /// worker is running, requests are rejected with status 503 and this reason instead of waiting. It expires at its
    /// <see cref="BlockedStart.RetryAt"/>, so a leader that is gone cannot block an endpoint permanently.
    /// </summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="blocked">The reason; null: workers can start.</param>
    /// <param name="now">The current time of the clock that set <see cref="BlockedStart.RetryAt"/>.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task BlockAsync(string endpointId, BlockedStart? blocked, DateTimeOffset now, CancellationToken ct)
    {
        var keys = new DispatchKeys(endpointId);
        if (blocked is null || blocked.RetryAt <= now)
        {
            await redis.Database.KeyDeleteAsync(keys.Blocked).WaitAsync(ct);
            return;
        }

        var json = JsonSerializer.Serialize(blocked, DispatchJson.Default.BlockedStart);
        var expires = blocked.IsOpenEnded ? TimeSpan.Zero : blocked.RetryAt - now;
        await scripts.BlockAsync(keys, json, expires, counts: !blocked.ByPolicy).WaitAsync(ct);
        await redis.PublishAsync(DispatchChannels.All, $"blocked|{endpointId}|").WaitAsync(ct);
    }

    /// <summary>
    /// Deletes the count of rejected requests: a start was ordered for them, or the rejections were not caused by a
    /// failed start.
    /// </summary>
    public Task ForgetRefusedAsync(string endpointId, CancellationToken ct) =>
        redis.Database.HashDeleteAsync(new DispatchKeys(endpointId).Meta, "refused").WaitAsync(ct);

    /// <summary>
    /// Returns why requests of this endpoint are currently rejected because no worker can start; null: they are not
    /// rejected.
    /// </summary>
    public async Task<BlockedStart?> WhyBlockedAsync(string endpointId, CancellationToken ct)
    {
        var (blocked, up) = await BlockedAsync(new DispatchKeys(endpointId)).WaitAsync(ct);
        return up ? null : blocked;
    }

    /// <summary>Returns the worker with the most free slots, or null if none is ready. It takes no slot.</summary>
    public async Task<WorkerAddress?> FindWorkerAsync(string endpointId, CancellationToken ct)
    {
        var keys = new DispatchKeys(endpointId);
        var pods = await redis.Database.SortedSetRangeByRankAsync(keys.Free, 0, 0, Order.Descending).WaitAsync(ct);
        if (pods.Length == 0) return null;
        return await AddressesAsync(keys, [(string)pods[0]!]).WaitAsync(ct) is [var worker, ..] ? worker : null;
    }

    public void Wake(string endpointId) => Woken?.Invoke(endpointId);

    /// <summary>Returns the addresses of these pods; a pod that is gone is missing from the result.</summary>
    public async Task<IReadOnlyList<WorkerAddress>> AddressesAsync(DispatchKeys keys, string[] pods)
    {
        var values = await redis.Database.HashGetAsync(keys.Workers, [.. pods.Select(p => (RedisValue)p)]);
        return [.. values.Where(v => v.HasValue)
            .Select(v => JsonSerializer.Deserialize((string)v!, DispatchJson.Default.WorkerAddress)!)];
    }

    /// <summary>
    /// Returns why the workers of the endpoint cannot start, or null, and whether any worker is running.
    /// </summary>
    public async Task<(BlockedStart? Blocked, bool Up)> BlockedAsync(DispatchKeys keys)
    {
        var blocked = redis.Database.StringGetAsync(keys.Blocked);
        var up = redis.Database.HashLengthAsync(keys.Capacity);
        return (ReadBlocked(await blocked), await up > 0);
    }

    /// <summary>Parses the stored reason; null if there is none.</summary>
    public static BlockedStart? ReadBlocked(string? json) =>
        string.IsNullOrEmpty(json) ? null : JsonSerializer.Deserialize(json, DispatchJson.Default.BlockedStart);

    /// <summary>
    /// Notifies all gateways that slots are free while tickets wait. Tickets of jobs are granted only to the gateway
    /// that runs them, so a gateway must ask.
    /// </summary>
    public Task OfferAsync(string endpointId, CancellationToken ct) =>
        redis.PublishAsync(DispatchChannels.All, $"free|{endpointId}|").WaitAsync(ct);

    /// <summary>Lets all gateways reconcile an endpoint soon, like queued tickets do.</summary>
    public Task AnnounceAsync(string endpointId, CancellationToken ct) =>
        redis.PublishAsync(DispatchChannels.All, DispatchChannels.Wake(endpointId)).WaitAsync(ct);

    private async Task GrantAsync(string endpointId, CancellationToken ct)
    {
        var answer = await scripts.ReleaseAsync(new JobKeys(endpointId), endpointId, "", [], [], claims: false)
            .WaitAsync(ct);
        if (answer.Depth > 0) await OfferAsync(endpointId, ct);
    }
}
