using Sluice.Storage.Queueing;
using StackExchange.Redis;

namespace Sluice.Storage.Usage;

/// <summary>
/// The Redis keys of the usage of an endpoint. They have the same hash tag as its <see cref="JobKeys"/>.
/// </summary>
internal sealed class LedgerKeys(string endpointId)
{
    /// <summary>Set: the endpoints that have usage, deleted ones too.</summary>
    public static readonly RedisKey Endpoints = "sluice:{ledger}:endpoints";

    /// <summary>String: the prices of workers, JSON.</summary>
    public static readonly RedisKey Prices = "sluice:{ledger}:prices";

    /// <summary>Sorted set: the hashes of usage -> the begin of their period (Unix ms), and their prefix.</summary>
    public RedisKey Ledger { get; } = new JobKeys(endpointId).Ledger;

    /// <summary>Hash: a counter for each status of ended jobs.</summary>
    public RedisKey Meta { get; } = new DispatchKeys(endpointId).Meta;

    /// <summary>Hash: pod -> its record.</summary>
    public RedisKey Pods { get; } = DispatchKeys.Key(endpointId, "pods");

    /// <summary>Hash: pod -> up to when its time is counted.</summary>
    public RedisKey Marks { get; } = DispatchKeys.Key(endpointId, "ledger:marks");

    /// <summary>Hash: "key|model|GPU|quantity" -> sum, of one period.</summary>
    public RedisKey Period(string name) => Ledger.Append($":{name}");

    /// <summary>String: the number of the last batch of a gateway that was counted; it expires.</summary>
    public RedisKey Applied(string gateway) => Ledger.Append($":by:{gateway}");
}
