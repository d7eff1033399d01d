using System.Text.Json;
using System.Text.Json.Serialization;
using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Core.Gpus;

/// <summary>Workers of an endpoint that wait for devices.</summary>
/// <param name="EndpointId">The endpoint.</param>
/// <param name="Workers">How many.</param>
/// <param name="Since">Since when at least one waits.</param>
/// <param name="Never">Whether they wait in vain: these machines have nothing that fits.</param>
/// <param name="Part">The field of <c>gpu</c> that cannot be met.</param>
/// <param name="Reason">In words.</param>
/// <param name="WouldFit">What could be had instead; empty: nothing.</param>
public sealed record GpuWait(string EndpointId, int Workers, DateTimeOffset Since, bool Never, string Part, string Reason, string WouldFit)
{
    /// <summary>For clients without a key: without the names of devices and of other endpoints.</summary>
    [JsonIgnore]
    public string PublicText => Never ? "no GPU fits its workers" : "no GPU is free for its workers";

    /// <summary>For a client.</summary>
    public string TextFor(bool anonymous) => anonymous ? PublicText : Text;

    /// <summary>For a client with a key.</summary>
    public string Text => WouldFit.Length > 0 ? $"{Reason}; {WouldFit}" : Reason;
}

/// <summary>
/// Which pod has which devices, of all endpoints and hosts, and which endpoints wait for some. A claim comes before its pod, in one step with the look
/// whether it is free: so two leaders that do not know of each other cannot give one device away twice.
/// </summary>
public sealed class GpuStore(RedisStore redis)
{
    private static readonly Script Claim = Script.Load("gpu-claim");

    // Claims of all endpoints are compared with each other: one hash.
    private static readonly RedisKey Claims = "sluice:{gpus}:claims";
    private static readonly RedisKey Waits = "sluice:{gpus}:waiting";

    /// <summary>Gives a pod its devices; the UUID of the first that another pod has, or null when all are its own now.</summary>
    /// <param name="holding">The pod and its devices.</param>
    /// <param name="memoryMiB">Memory of each device, MiB.</param>
    /// <param name="ct">Gives up; the claim may stand then.</param>
    public async Task<string?> ClaimAsync(GpuHolding holding, Func<string, long> memoryMiB, CancellationToken ct)
    {
        RedisValue[] devices = [.. holding.Devices.SelectMany(d => new RedisValue[] { d.Uuid, d.ShareMiB ?? 0, memoryMiB(d.Uuid) })];
        var taken = (string)(await Claim.RunAsync(redis.Database, [Claims], [holding.PodId, Write(holding), .. devices]).WaitAsync(ct))!;
        return taken.Length > 0 ? taken : null;
    }

    /// <summary>Ends the claims of pods that are gone.</summary>
    public Task ReleaseAsync(IEnumerable<string> podIds, CancellationToken ct) =>
        redis.Database.HashDeleteAsync(Claims, [.. podIds.Select(p => (RedisValue)p)]).WaitAsync(ct);

    /// <summary>All claims.</summary>
    public async Task<IReadOnlyList<GpuHolding>> ListAsync(CancellationToken ct) =>
        [.. (await redis.Database.HashGetAllAsync(Claims).WaitAsync(ct)).Select(c => JsonSerializer.Deserialize((string)c.Value!, ClaimJson.Default.GpuHolding)!)
            .OrderBy(c => c.PodId, StringComparer.Ordinal)];

    /// <summary>Says (or, with null, takes back) that workers of an endpoint wait.</summary>
    public Task TellAsync(string endpointId, GpuWait? wait, CancellationToken ct) => wait is null
        ? redis.Database.HashDeleteAsync(Waits, endpointId).WaitAsync(ct)
        : ControlWrite.RunAsync(redis.Database, Waits, "HSET", endpointId, JsonSerializer.Serialize(wait, ClaimJson.Default.GpuWait)).WaitAsync(ct);

    /// <summary>Why an endpoint's workers wait for devices; null: none waits.</summary>
    public async Task<GpuWait?> WaitOfAsync(string endpointId, CancellationToken ct) =>
        Read(await redis.Database.HashGetAsync(Waits, endpointId).WaitAsync(ct));

    /// <summary>All endpoints whose workers wait, those that wait longest first.</summary>
    public async Task<IReadOnlyList<GpuWait>> WaitsAsync(CancellationToken ct) =>
        [.. (await redis.Database.HashGetAllAsync(Waits).WaitAsync(ct)).Select(w => Read(w.Value)!).OrderBy(w => w.Since)];

    private static GpuWait? Read(RedisValue json) => json.HasValue ? JsonSerializer.Deserialize((string)json!, ClaimJson.Default.GpuWait) : null;

    private static string Write(GpuHolding holding) => JsonSerializer.Serialize(holding, ClaimJson.Default.GpuHolding);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(GpuHolding))]
[JsonSerializable(typeof(GpuWait))]
internal sealed partial class ClaimJson : JsonSerializerContext;
