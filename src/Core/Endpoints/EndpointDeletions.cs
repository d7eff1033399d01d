using System.Text.Json.Serialization;
using Sluice.Core.Dispatch;
using Sluice.Core.Jobs;
using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Core.Endpoints;

/// <summary>How far the removal of a deleted endpoint's data is.</summary>
public enum ForgetPhase
{
    /// <summary>All that it has, when no worker of it is left.</summary>
    First,

    /// <summary>What gateways that did not know of the deletion yet have stored since.</summary>
    Late,

    /// <summary>Its jobs, because its id is to be declared again.</summary>
    Declare,
}

/// <summary>
/// Removes what is stored of endpoints that were deleted. Each deletion has a token, under which each phase is done once, whichever gateway does it: what the
/// next endpoint of the same id stores is not touched.
/// </summary>
public sealed class EndpointDeletions(RedisStore redis, CatalogStore catalog, JobStore jobs, JobQueries queries)
{
    /// <summary>From <see cref="ForgetPhase.First"/> to <see cref="ForgetPhase.Late"/>. A gateway knows of a deletion after a second (its poll of the
    /// catalogue), and its calls to Redis end within five.</summary>
    public TimeSpan LateAfter { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long the phases of a deletion are remembered: far longer than any gateway may need to follow up on it.</summary>
    private static readonly TimeSpan Remembered = TimeSpan.FromHours(1);

    private static readonly Script Forget = Script.Load("endpoint-forget");

    /// <summary>Deleted endpoints of which something may be left, with the tokens of their deletions.</summary>
    public Task<IReadOnlyDictionary<string, string>> ListAsync(CancellationToken ct) => catalog.DeletedAsync(ct);

    /// <summary>Cancels what waits and what runs. Returns how many jobs of each that were.</summary>
    public async Task<CancelledJobs> CancelAsync(string endpointId, CancellationToken ct)
    {
        var queued = await jobs.PurgeAsync(endpointId, null, ct);
        var running = await redis.Database.HashKeysAsync(new DispatchKeys(endpointId).Running).WaitAsync(ct);
        var ends = await Task.WhenAll(running.Select(id => jobs.CancelAsync(endpointId, id!, ct)));
        return new CancelledJobs(queued, ends.Count(e => e.Ended));
    }

    /// <summary>Whether jobs of an endpoint wait or run.</summary>
    public async Task<CancelledJobs> OpenAsync(string endpointId, CancellationToken ct)
    {
        var counts = await queries.CountAsync(endpointId, ct);
        return new CancelledJobs(counts.Queued, counts.Running);
    }

    /// <summary>Removes what is stored of an endpoint. May be repeated; what one call did not finish, the next one does.</summary>
    public async Task ForgetAsync(string endpointId, string deletion, ForgetPhase phase, CancellationToken ct)
    {
        var k = new JobKeys(endpointId);
        var all = phase != ForgetPhase.Declare;
        var name = phase.ToString().ToLowerInvariant();
        RedisKey[] kept = k.Listed;
        await Forget.RunAsync(redis.Database, [k.Forgotten, k.Dispatch.Queue, k.Dispatch.Meta, .. kept, .. k.Rest, .. all ? k.Dispatch.Slots : []],
            [deletion, name, kept.Length, all ? 1 : 0, (long)Remembered.TotalMilliseconds]).WaitAsync(ct);
        await jobs.DeleteListedAsync(endpointId, $":{deletion}|{name}", ct);
    }

    /// <summary>Makes a deleted id free to be declared again: its old jobs are gone before the new endpoint's first one.</summary>
    public async Task MakeFreeAsync(string endpointId, CancellationToken ct)
    {
        if (!(await ListAsync(ct)).TryGetValue(endpointId, out var deletion)) return;
        await CancelAsync(endpointId, ct);
        await ForgetAsync(endpointId, deletion, ForgetPhase.Declare, ct);
        await catalog.ForgottenAsync(endpointId, deletion, ct);
    }

    /// <summary>Nothing is left of a deleted endpoint.</summary>
    public Task DoneAsync(string endpointId, string deletion, CancellationToken ct) => catalog.ForgottenAsync(endpointId, deletion, ct);
}

/// <summary>Jobs of an endpoint that were cancelled with it, or would be.</summary>
public readonly record struct CancelledJobs(long Queued, long Running)
{
    /// <summary>Both.</summary>
    [JsonIgnore]
    public long All => Queued + Running;
}
