using System.Text.Json;
using System.Text.Json.Serialization;
using Sluice.Domain.Placement;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Fleet;

/// <summary>
/// Stores which pod has which devices, over all endpoints and hosts, and which endpoints wait for devices. A device is
/// claimed before its pod is started. The check and the claim are one atomic step, so that two leaders that do not know
/// of each other cannot allocate one device twice.
/// </summary>
public sealed class GpuStore(RedisStore redis)
{
    private static readonly Script Claim = Script.Load("gpu-claim");

    // One hash for all endpoints, because the script compares all claims.
    private static readonly RedisKey Claims = "sluice:{gpus}:claims";
    private static readonly RedisKey Waits = "sluice:{gpus}:waiting";

    /// <summary>Claims devices for a pod.</summary>
    /// <param name="holding">The pod and its devices.</param>
    /// <param name="memoryMiB">Returns the memory of a device in MiB.</param>
    /// <param name="ct">Cancels the call. The claim may be stored nevertheless.</param>
    /// <returns>Null if the pod has all devices; otherwise the UUID of the first device that another pod has.</returns>
    public async Task<string?> ClaimAsync(GpuAllocation holding, Func<string, long> memoryMiB, CancellationToken ct)
    {
        RedisValue[] devices =
        [
            .. holding.Devices.SelectMany(d => new RedisValue[] { d.Uuid, d.ShareMiB ?? 0, memoryMiB(d.Uuid) }),
        ];
        RedisValue[] arguments = [holding.PodId, Write(holding), .. devices];
        var taken = (string)(await Claim.RunAsync(redis.Database, [Claims], arguments).WaitAsync(ct))!;
        return taken.Length > 0 ? taken : null;
    }

    /// <summary>Deletes the claims of ended pods.</summary>
    public Task ReleaseAsync(IEnumerable<string> podIds, CancellationToken ct) =>
        redis.Database.HashDeleteAsync(Claims, [.. podIds.Select(p => (RedisValue)p)]).WaitAsync(ct);

    /// <summary>Returns all claims.</summary>
    public async Task<IReadOnlyList<GpuAllocation>> ListAsync(CancellationToken ct)
    {
        var claims = await redis.Database.HashGetAllAsync(Claims).WaitAsync(ct);
        return
        [
            .. claims.Select(c => JsonSerializer.Deserialize((string)c.Value!, ClaimJson.Default.GpuAllocation)!)
                .OrderBy(c => c.PodId, StringComparer.Ordinal),
        ];
    }

    /// <summary>Stores, or with null deletes, the information that workers of an endpoint wait.</summary>
    public Task SetWaitAsync(string endpointId, GpuWait? wait, CancellationToken ct)
    {
        if (wait is null) return redis.Database.HashDeleteAsync(Waits, endpointId).WaitAsync(ct);
        var json = JsonSerializer.Serialize(wait, ClaimJson.Default.GpuWait);
        return ReservedWrite.RunAsync(redis.Database, Waits, "HSET", endpointId, json).WaitAsync(ct);
    }

    /// <summary>Returns why workers of an endpoint wait for devices; null if none waits.</summary>
    public async Task<GpuWait?> WaitOfAsync(string endpointId, CancellationToken ct) =>
        Read(await redis.Database.HashGetAsync(Waits, endpointId).WaitAsync(ct));

    /// <summary>Returns all endpoints whose workers wait, the longest wait first.</summary>
    public async Task<IReadOnlyList<GpuWait>> WaitsAsync(CancellationToken ct)
    {
        var waits = await redis.Database.HashGetAllAsync(Waits).WaitAsync(ct);
        return [.. waits.Select(w => Read(w.Value)!).OrderBy(w => w.Since)];
    }

    private static GpuWait? Read(RedisValue json) =>
        json.HasValue ? JsonSerializer.Deserialize((string)json!, ClaimJson.Default.GpuWait) : null;

    private static string Write(GpuAllocation holding) =>
        JsonSerializer.Serialize(holding, ClaimJson.Default.GpuAllocation);
}
