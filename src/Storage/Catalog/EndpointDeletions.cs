using System.Text.Json.Serialization;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Catalog;

/// <summary>
/// Deletes the stored data of deleted endpoints. Each deletion has a token. Each phase of a deletion runs once, in any
/// gateway, so that it does not delete data of a later endpoint with the same id.
/// </summary>
public sealed class EndpointDeletions(RedisStore redis, CatalogStore catalog, JobStore jobs, JobQueries queries)
{
    /// <summary>
    /// Time between <see cref="ForgetPhase.First"/> and <see cref="ForgetPhase.Late"/>. A gateway knows of a deletion
    /// after 1 s, the interval at which it reads the catalog, and its calls to Redis end within 5 s.
    /// </summary>
    public TimeSpan LateAfter { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// How long the phases of a deletion are stored: much longer than a gateway needs to complete it.
    /// </summary>
    private static readonly TimeSpan Remembered = TimeSpan.FromHours(1);

    private static readonly Script Forget = Script.Load("endpoint-forget");

    /// <summary>Returns deleted endpoints whose data may still exist, with the tokens of their deletions.</summary>
    public Task<IReadOnlyDictionary<string, string>> ListAsync(CancellationToken ct) => catalog.DeletedAsync(ct);

    /// <summary>Cancels the waiting and running jobs of an endpoint. Returns their numbers.</summary>
    public async Task<CancelledJobs> CancelAsync(string endpointId, CancellationToken ct)
    {
        var queued = await jobs.PurgeAsync(endpointId, null, ct);
        var running = await redis.Database.HashKeysAsync(new DispatchKeys(endpointId).Running).WaitAsync(ct);
        var ends = await Task.WhenAll(running.Select(id => jobs.CancelAsync(endpointId, id!, ct)));
        return new CancelledJobs(queued, ends.Count(e => e.Ended));
    }

    /// <summary>Returns the numbers of waiting and running jobs of an endpoint.</summary>
    public async Task<CancelledJobs> OpenAsync(string endpointId, CancellationToken ct)
    {
        var counts = await queries.CountAsync(endpointId, ct);
        return new CancelledJobs(counts.Queued, counts.Running);
    }

    /// <summary>Deletes the data of an endpoint for one phase. A repeated call completes an interrupted one.</summary>
    public async Task ForgetAsync(string endpointId, string deletion, ForgetPhase phase, CancellationToken ct)
    {
        var k = new JobKeys(endpointId);
        var all = phase != ForgetPhase.Declare;
        var name = phase.ToString().ToLowerInvariant();
        RedisKey[] kept = k.Listed;
        RedisKey[] keys =
        [
            k.Forgotten, k.Dispatch.Queue, k.Dispatch.Meta, k.Ledger, .. kept, .. k.Rest,
            .. all ? k.Dispatch.Slots : [],
        ];
        RedisValue[] arguments = [deletion, name, kept.Length, all ? 1 : 0, (long)Remembered.TotalMilliseconds];
        await Forget.RunAsync(redis.Database, keys, arguments).WaitAsync(ct);
        await jobs.DeleteListedAsync(endpointId, $":{deletion}|{name}", ct);
    }

    /// <summary>
    /// Makes a deleted id available for a new declaration. Its old jobs are deleted before the new endpoint accepts
    /// jobs.
    /// </summary>
    public async Task MakeFreeAsync(string endpointId, CancellationToken ct)
    {
        if (!(await ListAsync(ct)).TryGetValue(endpointId, out var deletion)) return;
        await CancelAsync(endpointId, ct);
        await ForgetAsync(endpointId, deletion, ForgetPhase.Declare, ct);
        await catalog.CompleteDeletionAsync(endpointId, deletion, ct);
    }

    /// <summary>Marks a deletion as complete, after all data of the endpoint was deleted.</summary>
    public Task CompleteAsync(string endpointId, string deletion, CancellationToken ct) =>
        catalog.CompleteDeletionAsync(endpointId, deletion, ct);
}
