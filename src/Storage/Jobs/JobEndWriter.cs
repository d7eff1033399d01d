using Sluice.Domain.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Jobs;

/// <summary>
/// Ends jobs that do not complete: cancels or purges them, or ends them because they were queued too long.
/// </summary>
internal sealed class JobEndWriter
{
    /// <summary>The most passes of a purge: while jobs are submitted, some are left after each pass.</summary>
    private const int PurgePasses = 3;

    /// <summary>The number of queue entries that one command of a purge reads.</summary>
    private const int TicketsAtOnce = 1000;

    /// <summary>The number of jobs that one script ends.</summary>
    private const int EndAtOnce = 200;

    private static readonly Script EndLua = Script.Load("job-end");

    private readonly RedisStore redis;
    private readonly RedisCallBatcherSet<JobEnd, EndResult> ends;

    public JobEndWriter(RedisStore redis)
    {
        this.redis = redis;
        ends = new RedisCallBatcherSet<JobEnd, EndResult>(id => new RedisCallBatcher<JobEnd, EndResult>(
            many => EndAsync(id, many),
            end => end.Bytes,
            TimeProvider.System));
    }

    private static JobError Cancelled { get; } = new(JobErrors.Cancelled, "the job was cancelled", false);

    /// <summary>Cancels a queued or running job. A job that has ended is not changed.</summary>
    public Task<EndResult> CancelAsync(string endpointId, string id, CancellationToken ct) => ends.For(endpointId)
        .AddAsync(JobEnd.Cancelled(id, Cancelled), CancellationToken.None).WaitAsync(ct);

    /// <summary>Ends jobs that are still queued; the others are not changed. Returns how many it ended.</summary>
    public async Task<int> EndQueuedAsync(
        string endpointId,
        IReadOnlyCollection<string> ids,
        string status,
        JobError error,
        CancellationToken ct)
    {
        var ended = 0;
        foreach (var part in ids.Chunk(EndAtOnce))
        {
            var unqueued = Array.ConvertAll(part, id => JobEnd.Unqueued(id, status, error));
            ended += (await EndAsync(endpointId, unqueued).WaitAsync(ct)).Count(r => r.Ended);
        }

        return ended;
    }

    /// <summary>Cancels queued jobs; running jobs are not affected. Returns how many it cancelled.</summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="flow">The flow of the jobs; null: all.</param>
    /// <param name="ct">Stops between two steps of the work.</param>
    /// <param name="pay">Awaited with the number of queue entries that are read next, and of jobs that are ended
    /// next.</param>
    public async Task<long> PurgeAsync(
        string endpointId,
        string? flow,
        CancellationToken ct,
        Func<int, int, Task>? pay = null)
    {
        var all = 0L;
        // Entries that other callers remove during a pass can hide jobs from it, so another pass follows.
        for (var pass = 0; pass < PurgePasses && await WaitingAsync(endpointId, flow, ct) > 0; pass++)
            all += await PurgeOnceAsync(endpointId, flow, pay, ct);
        return all;
    }

    /// <summary>
    /// Purges the queue once, from its end: tickets that are granted from its head do not shift the positions.
    /// </summary>
    private async Task<long> PurgeOnceAsync(
        string endpointId,
        string? flow,
        Func<int, int, Task>? pay,
        CancellationToken ct)
    {
        var queue = new DispatchKeys(endpointId).Queue;
        var all = 0L;
        for (long from = 0; ;)
        {
            if (pay is not null) await pay(TicketsAtOnce, 0);
            var part = await redis.Database
                .SortedSetRangeByRankAsync(queue, from, from + TicketsAtOnce - 1, Order.Descending)
                .WaitAsync(ct);
            // seq|owner|id|queued|deadline|flow
            var tickets = part.Select(entry => ((string)entry!).Split('|', 6));
            var ids = tickets
                .Where(t => t[1] == "job" && (flow is null || t[5] == flow))
                .Select(t => t[2])
                .ToList();
            if (pay is not null && ids.Count > 0) await pay(0, ids.Count);
            all += await EndQueuedAsync(endpointId, ids, JobStatus.Cancelled, Cancelled, ct);
            if (part.Length < TicketsAtOnce) return all;
            from += part.Length - ids.Count;
        }
    }

    /// <summary>Returns the number of queued jobs, of one flow or (null) of all.</summary>
    private async Task<long> WaitingAsync(string endpointId, string? flow, CancellationToken ct)
    {
        var k = new DispatchKeys(endpointId);
        var stored = flow is null
            ? redis.Database.HashGetAsync(k.Meta, "queued")
            : redis.Database.HashGetAsync(k.Flows, flow);
        var count = await stored.WaitAsync(ct);
        return count.IsNull ? 0 : (long)count;
    }

    private async Task<IReadOnlyList<EndResult>> EndAsync(string endpointId, IReadOnlyList<JobEnd> all)
    {
        var k = new JobKeys(endpointId);
        var d = k.Dispatch;
        var (kinds, rest) = EndCall.Args(all);
        var refused = await EndLua.RunAsync(
            redis.Database,
            [
                d.Queue, d.Running, d.Jobs, d.Retries, d.Watchers, d.Results, d.Blobs, d.Flows, d.Meta, k.Expiry,
                k.Dead, k.Outbox, k.Log, k.Hooks, k.Bytes, k.Ledger,
            ],
            [endpointId, EndCall.KeepDeadMs, kinds, .. rest]);
        return EndCall.Results(all, refused.Items());
    }
}
