using System.Globalization;
using Sluice.Core.Dispatch;
using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Core.Jobs;

/// <summary>Questions about an endpoint's jobs together.</summary>
public sealed class JobQueries(RedisStore redis, JobStore store)
{
    private const int MaxViolations = 100;

    /// <summary>Jobs that an invariant check looks at: it is one script, and Redis does nothing else meanwhile.</summary>
    private const int MaxChecked = 100_000;

    /// <summary>A job that runs for so much longer than its executionTimeout, ms, has lost its gateway's care: an end is stored within seconds.</summary>
    private const int LateMs = 60_000;

    /// <summary>Jobs that one question looks at, whether or not they are what it wants; and how many at a time.</summary>
    private const int MaxScan = 2000;
    private const int ScanAtOnce = 200;

    private static readonly Script CheckLua = Script.Load("job-check");

    /// <summary>How many jobs are, and were, in each state. Counters of ends grow for as long as the endpoint lives.</summary>
    public async Task<JobCounts> CountAsync(string endpointId, CancellationToken ct)
    {
        var k = new JobKeys(endpointId).Dispatch;
        var running = redis.Database.HashLengthAsync(k.Running);
        var counts = await redis.Database.HashGetAsync(k.Meta,
            [JobStatus.Completed, JobStatus.Failed, JobStatus.Cancelled, JobStatus.TimedOut, "retried", "queued"]).WaitAsync(ct);
        long Count(int i) => counts[i].IsNull ? 0 : (long)counts[i];
        return new JobCounts(Count(5), await running, Count(0), Count(1), Count(2), Count(3), Count(4));
    }

    /// <summary>Jobs whose data is still there, the newest first, of one flow or (null) of all. Without their outputs. An offset counts
    /// all jobs; a question that found few among many is asked again from <see cref="JobPage.Next"/>. <paramref name="pay"/> is awaited with the number
    /// of jobs that are read next.</summary>
    public Task<JobPage> ListAsync(string endpointId, string? flow, string? status, int offset, int limit, CancellationToken ct, Func<int, Task>? pay = null) =>
        ReadAsync(endpointId, (from, count) => KnownAsync(new JobKeys(endpointId), from, count, ct), flow, status, offset, limit, pay, ct);

    /// <summary>Dead letters, the newest first, as <see cref="ListAsync"/>.</summary>
    public Task<JobPage> DeadAsync(string endpointId, string? flow, int offset, int limit, CancellationToken ct, Func<int, Task>? pay = null) =>
        ReadAsync(endpointId, (from, count) => redis.Database.SortedSetRangeByRankAsync(new JobKeys(endpointId).Dead, from, from + count - 1,
            Order.Descending).WaitAsync(ct), flow, null, offset, limit, pay, ct);

    /// <summary>Forgets dead letters; their jobs stay FAILED. Returns how many. <paramref name="pay"/> is awaited with the number of jobs that are read next.</summary>
    public async Task<long> PurgeDeadAsync(string endpointId, string? flow, CancellationToken ct, Func<int, Task>? pay = null)
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
        var read = await Task.WhenAll(ids.Select(id => store.LookAsync(endpointId, id!, null, ct, withOutput: false)));
        return [.. ids.Where((_, i) => read[i]?.Flow == flow)];
    }

    /// <summary>Whether everything that is written about an endpoint agrees.</summary>
    public async Task<InvariantReport> CheckAsync(string endpointId, CancellationToken ct)
    {
        var k = new JobKeys(endpointId);
        var d = k.Dispatch;
        var r = (RedisResult[])await CheckLua.RunAsync(redis.Database,
            [d.Leases, d.Held, d.Free, d.Capacity, d.Queue, d.Meta, d.Running, d.Flows, k.Index, k.Late, k.Expiry, k.Outbox, k.Hooks,
                d.Asked, d.Again, d.Watched, d.Results, k.Streams, d.Large, d.Busy, k.Bytes],
            [MaxViolations, MaxChecked, LateMs]).WaitAsync(ct);
        return new InvariantReport(endpointId, (int)r[0], (long)r[3], (int)r[1], (string[])r[2]);
    }

    /// <summary>A part of all jobs, the newest first.</summary>
    private async Task<RedisValue[]> KnownAsync(JobKeys k, int from, int count, CancellationToken ct)
    {
        var part = (await redis.Database.ListRangeAsync(k.Index, -from - count, -from - 1).WaitAsync(ct)).Reverse().ToArray();
        if (part.Length == count) return part;
        var before = Math.Max(0, from - (int)await redis.Database.ListLengthAsync(k.Index).WaitAsync(ct));
        return [.. part, .. await redis.Database.SortedSetRangeByRankAsync(k.Late, before, before + count - part.Length - 1, Order.Descending).WaitAsync(ct)];
    }

    private async Task<JobPage> ReadAsync(string endpointId, Func<int, int, Task<RedisValue[]>> page, string? flow, string? status, int offset, int limit,
        Func<int, Task>? pay, CancellationToken ct)
    {
        var jobs = new List<Job>();
        var at = offset;
        while (at < offset + MaxScan)
        {
            // The first part has one entry more than the response can have; that entry shows whether there are more.
            var count = Math.Min(at == offset ? Math.Min(ScanAtOnce, limit + 1) : ScanAtOnce, offset + MaxScan - at);
            var ids = await page(at, count);
            if (pay is not null) await pay(ids.Length);
            var read = await Task.WhenAll(ids.Select(id => store.LookAsync(endpointId, id!, null, ct, withOutput: false)));
            foreach (var job in read)
            {
                if (jobs.Count == limit) return new JobPage(jobs, at);
                at++;
                if (job is { Expired: false } && (flow is null || job.Flow == flow) && (status is null || job.Status == status)) jobs.Add(job);
            }

            if (ids.Length < count) return new JobPage(jobs, null);
        }

        return new JobPage(jobs, at);
    }
}

/// <summary>A part of a list of jobs.</summary>
/// <param name="Jobs">Without their outputs.</param>
/// <param name="Next">The offset to go on from; null: there are no more.</param>
public sealed record JobPage(IReadOnlyList<Job> Jobs, int? Next);

/// <summary>How many jobs an endpoint has and had, by state.</summary>
public sealed record JobCounts(long Queued, long Running, long Completed, long Failed, long Cancelled, long TimedOut, long Retried);

/// <summary>What an invariant check found.</summary>
/// <param name="EndpointId">Of which endpoint.</param>
/// <param name="Jobs">Jobs looked at: all that wait or run, and the newest of the others.</param>
/// <param name="Known">Jobs whose data is still there.</param>
/// <param name="Count">Violations.</param>
/// <param name="Violations">The first hundred of them, in words.</param>
public sealed record InvariantReport(string EndpointId, int Jobs, long Known, int Count, IReadOnlyList<string> Violations);
