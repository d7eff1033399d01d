using System.Text.Json;
using Sluice.Domain.Scaling;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Fleet;

/// <summary>
/// Stores the decisions and the scaling state of endpoints in Redis, for operators and for the next leader. A leader
/// that has been replaced cannot write.
/// </summary>
public sealed class ScalingDecisionStore(RedisStore redis)
{
    /// <summary>Maximum number of stored changes per endpoint.</summary>
    public const int Kept = 100;

    private static readonly Script Keep = Script.Load("decision-keep");

    /// <summary>Stores a decision. Returns false if a later leader has already stored one.</summary>
    public async Task<bool> KeepAsync(
        string endpointId, long epoch, ScalingDecisionRecord note, ScaleState state, CancellationToken ct)
    {
        var latest = JsonSerializer.Serialize(note, DecisionJson.Default.ScalingDecisionRecord);
        RedisValue[] arguments =
        [
            epoch, JsonSerializer.Serialize(state, DecisionJson.Default.ScaleState), latest,
            note.Changed ? latest : "", Kept,
        ];
        return (int)await Keep.RunAsync(redis.Database, [Scale(endpointId), Changes(endpointId)], arguments)
            .WaitAsync(ct) == 1;
    }

    /// <summary>Returns the state that the previous leader stored; null if there is none.</summary>
    public async Task<ScaleState?> StateAsync(string endpointId, CancellationToken ct)
    {
        var json = await redis.Database.HashGetAsync(Scale(endpointId), "state").WaitAsync(ct);
        return json.HasValue ? JsonSerializer.Deserialize((string)json!, DecisionJson.Default.ScaleState) : null;
    }

    /// <summary>Returns the latest stored decision; null if there is none.</summary>
    public async Task<ScalingDecisionRecord?> LatestAsync(string endpointId, CancellationToken ct)
    {
        var json = await redis.Database.HashGetAsync(Scale(endpointId), "latest").WaitAsync(ct);
        return json.HasValue ? Note(json) : null;
    }

    /// <summary>Returns the latest decision and the stored changes.</summary>
    public async Task<Decisions> ReadAsync(string endpointId, CancellationToken ct)
    {
        var latest = redis.Database.HashGetAsync(Scale(endpointId), "latest");
        var changes = await redis.Database.ListRangeAsync(Changes(endpointId)).WaitAsync(ct);
        return new Decisions(await latest is { HasValue: true } json ? Note(json) : null, [.. changes.Select(Note)]);
    }

    /// <summary>Deletes the decisions and the state of an endpoint.</summary>
    public Task ForgetAsync(string endpointId, CancellationToken ct) =>
        redis.Database.KeyDeleteAsync([Scale(endpointId), Changes(endpointId)]).WaitAsync(ct);

    private static ScalingDecisionRecord Note(RedisValue json) =>
        JsonSerializer.Deserialize((string)json!, DecisionJson.Default.ScalingDecisionRecord)!;

    private static RedisKey Scale(string endpointId) => DispatchKeys.Key(endpointId, "scale");

    private static RedisKey Changes(string endpointId) => DispatchKeys.Key(endpointId, "changes");
}
