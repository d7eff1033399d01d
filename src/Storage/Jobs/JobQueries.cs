using System.Globalization;
using Sluice.Domain.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Jobs;

/// <summary>Answers queries about the jobs of an endpoint as a whole.</summary>
public sealed class JobQueries(RedisStore redis, JobStore store)
{
    private const int MaxViolations = 100;

    /// <summary>
    /// The most jobs in an invariant check. The check is one script; Redis runs no other command during it.
    /// </summary>
    private const int MaxChecked = 100_000;

    /// <summary>
    /// A job that exceeds its executionTimeout by this time (ms) is no longer managed by its gateway: ends are stored
    /// within seconds.
    /// </summary>
    private const int LateMs = 60_000;

    /// <summary>
    /// The most jobs that one query reads, whether or not they match; and the number of jobs per page.
    /// </summary>
    private const int MaxScan = 2000;
    private const int ScanAtOnce = 200;

    private static readonly Script CheckLua = Script.Load("job-check");

    /// <summary>
    /// Counts the jobs in each state, current and past. The counters of ended jobs grow as long as the endpoint exists.
    /// </summary>
    public async Task<JobCounts> CountAsync(string endpointId, CancellationToken ct)
    {
        var k = new JobKeys(endpointId).Dispatch;
        var running = redis.Database.HashLengthAsync(k.Running);
        var counts = await redis.Database.HashGetAsync(k.Meta,
            [JobStatus.Completed, JobStatus.Failed, JobStatus.Cancelled, JobStatus.TimedOut, "retried", "queued"])
            .WaitAsync(ct);
        long Count(int i) => counts[i].IsNull ? 0 : (long)counts[i];
        return new JobCounts(Count(5), await running, Count(0), Count(1), Count(2), Count(3), Count(4));
    }

    /// <summary>Lists jobs whose data is stored, newest first, without their outputs.</summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="flow">The flow of the jobs; null: all.</param>
    /// <param name="status">The status of the jobs; null: all.</param>
    /// <param name="offset">The offset, counted over all jobs. A query that finds few matches continues at
    /// <see cref="JobPage.Next"/>.</param>
    /// <param name="limit">The most jobs to return.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <param name="pay">Awaited with the number of jobs that are read next.</param>
    public Task<JobPage> ListAsync(
        string endpointId,
        string? flow,
        string? status,
        int offset,
        int limit,
        CancellationToken ct,
        Func<int, Task>? pay = null) =>
        ReadAsync(
            endpointId,
            (from, count) => KnownAsync(new JobKeys(endpointId), from, count, ct),
            flow,
            status,
            offset,
            limit,
            pay,
            ct);

    /// <summary>Lists dead letters, newest first; the parameters are those of <see cref="ListAsync"/>.</summary>
    public Task<JobPage> DeadAsync(
        string endpointId,
        string? flow,
        int offset,
        int limit,
        CancellationToken ct,
        Func<int, Task>? pay = null)
    {
        var key = new JobKeys(endpointId).Dead;
        return ReadAsync(
            endpointId,
            (from, count) => redis.Database
                .SortedSetRangeByRankAsync(key, from, from + count - 1, Order.Descending)
                .WaitAsync(ct),
            flow,
            null,
            offset,
            limit,
            pay,
            ct);
    }

    /// <summary>Removes dead letters from the list; their jobs stay FAILED. Returns how many.</summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="flow">The flow of the jobs; null: all.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <param name="pay">Awaited with the number of jobs that are read next.</param>
    public async Task<long> PurgeDeadAsync(
        string endpointId,
        string? flow,
        CancellationToken ct,
        Func<int, Task>? pay = null)
    {
        var (key, all) = (new JobKeys(endpointId).Dead, 0L);
        for (long from = 0; ;)
        {
            var ids = await redis.Database.SortedSetRangeByRankAsync(key, from, from + ScanAtOnce - 1).WaitAsync(ct);
            if (pay is not null) await pay(ids.Length);
            var own = flow is null ? ids : await OwnAsync(endpointId, flow, ids, ct);
            if (own.Length > 0) all += await redis.Database.SortedSetRemoveAsync(key, own).WaitAsync(ct);
            if (ids.Length < ScanAtOnce) return all;
            from += ids.Length - own.Length;
        }
    }

    private async Task<RedisValue[]> OwnAsync(string endpointId, string flow, RedisValue[] ids, CancellationToken ct)
    {
        var read = await Task.WhenAll(ids.Select(id => LookAsync(endpointId, id!, ct)));
        return [.. ids.Where((_, i) => read[i]?.Flow == flow)];
    }

    /// <summary>Returns a job without its output; null if it is gone, or if its stored text is corrupted.</summary>
    private async Task<Job?> LookAsync(string endpointId, string id, CancellationToken ct)
    {
        try
        {
            return await store.LookAsync(endpointId, id, null, ct, withOutput: false);
        }
        catch (Exception e) when (e is InvalidDataException or FormatException)
        {
            // The check reports corrupted jobs. They must not hide the other jobs of a list.
            return null;
        }
    }

    /// <summary>Checks whether all stored data about an endpoint is consistent.</summary>
    public async Task<InvariantReport> CheckAsync(string endpointId, CancellationToken ct)
    {
        var k = new JobKeys(endpointId);
        var d = k.Dispatch;
        var reply = await CheckLua.RunAsync(
            redis.Database,
            [
                d.Leases, d.Held, d.Free, d.Capacity, d.Queue, d.Meta, d.Running, d.Flows, k.Index, k.Late, k.Expiry,
                k.Outbox, k.Hooks, d.Jobs, d.Retries, d.Watchers, d.Results, k.Streams, d.Blobs, d.Busy, k.Bytes,
                d.TokenCapacity, d.Tokens, k.Ledger,
            ],
            [MaxViolations, MaxChecked, LateMs]).WaitAsync(ct);
        var r = reply.Items();
        return new InvariantReport(endpointId, (int)r[0], (long)r[3], (int)r[1], r[2].Texts());
    }

    /// <summary>Returns a page of all jobs, newest first.</summary>
    private async Task<RedisValue[]> KnownAsync(JobKeys k, int from, int count, CancellationToken ct)
    {
        var newest = await redis.Database.ListRangeAsync(k.Index, -from - count, -from - 1).WaitAsync(ct);
        var part = newest.Reverse().ToArray();
        if (part.Length == count) return part;
        var before = Math.Max(0, from - (int)await redis.Database.ListLengthAsync(k.Index).WaitAsync(ct));
        var older = await redis.Database
            .SortedSetRangeByRankAsync(k.Late, before, before + count - part.Length - 1, Order.Descending)
            .WaitAsync(ct);
        return [.. part, .. older];
    }

    private async Task<JobPage> ReadAsync(
        string endpointId,
        Func<int, int, Task<RedisValue[]>> page,
        string? flow,
        string? status,
        int offset,
        int limit,
        Func<int, Task>? pay,
        CancellationToken ct)
    {
        var jobs = new List<Job>();
        var at = offset;
        while (at < offset + MaxScan)
        {
            // The first part has one entry more than the response can have; that entry shows whether there are more.
            var count = Math.Min(at == offset ? Math.Min(ScanAtOnce, limit + 1) : ScanAtOnce, offset + MaxScan - at);
            var ids = await page(at, count);
            if (pay is not null) await pay(ids.Length);
            var read = await Task.WhenAll(ids.Select(id => LookAsync(endpointId, id!, ct)));
            foreach (var job in read)
            {
                if (jobs.Count == limit) return new JobPage(jobs, at);
                at++;
                var isMatch = job is { Expired: false }
                    && (flow is null || job.Flow == flow)
                    && (status is null || job.Status == status);
                if (isMatch) jobs.Add(job!);
            }

            if (ids.Length < count) return new JobPage(jobs, null);
        }

        return new JobPage(jobs, at);
    }
}
