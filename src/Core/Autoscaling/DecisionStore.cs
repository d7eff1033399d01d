using System.Text.Json;
using Sluice.Core.Dispatch;
using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Core.Autoscaling;

/// <summary>
/// What leaders decided and what they remember, in Redis: for those who ask why, and for the next leader. A leader that was
/// replaced meanwhile writes nothing.
/// </summary>
public sealed class DecisionStore(RedisStore redis)
{
    /// <summary>Changes kept for an endpoint.</summary>
    public const int Kept = 100;

    private static readonly Script Keep = Script.Load("decision-keep");

    /// <summary>Keeps a decision; false: a later leader has decided already.</summary>
    public async Task<bool> KeepAsync(string endpointId, long epoch, DecisionNote note, ScaleState state, CancellationToken ct)
    {
        var latest = JsonSerializer.Serialize(note, DecisionJson.Default.DecisionNote);
        return (int)await Keep.RunAsync(redis.Database, [Scale(endpointId), Changes(endpointId)],
            [epoch, JsonSerializer.Serialize(state, DecisionJson.Default.ScaleState), latest, note.Changed ? latest : "", Kept]).WaitAsync(ct) == 1;
    }

    /// <summary>What the leader before remembered; null: nothing was decided yet.</summary>
    public async Task<ScaleState?> StateAsync(string endpointId, CancellationToken ct)
    {
        var json = await redis.Database.HashGetAsync(Scale(endpointId), "state").WaitAsync(ct);
        return json.HasValue ? JsonSerializer.Deserialize((string)json!, DecisionJson.Default.ScaleState) : null;
    }

    /// <summary>The last decision that was kept; null: none yet.</summary>
    public async Task<DecisionNote?> LatestAsync(string endpointId, CancellationToken ct) =>
        await redis.Database.HashGetAsync(Scale(endpointId), "latest").WaitAsync(ct) is { HasValue: true } json ? Note(json) : null;

    public async Task<Decisions> ReadAsync(string endpointId, CancellationToken ct)
    {
        var latest = redis.Database.HashGetAsync(Scale(endpointId), "latest");
        var changes = await redis.Database.ListRangeAsync(Changes(endpointId)).WaitAsync(ct);
        return new Decisions(await latest is { HasValue: true } json ? Note(json) : null, [.. changes.Select(Note)]);
    }

    public Task ForgetAsync(string endpointId, CancellationToken ct) =>
        redis.Database.KeyDeleteAsync([Scale(endpointId), Changes(endpointId)]).WaitAsync(ct);

    private static DecisionNote Note(RedisValue json) => JsonSerializer.Deserialize((string)json!, DecisionJson.Default.DecisionNote)!;

    private static RedisKey Scale(string endpointId) => DispatchKeys.Key(endpointId, "scale");

    private static RedisKey Changes(string endpointId) => DispatchKeys.Key(endpointId, "changes");
}
