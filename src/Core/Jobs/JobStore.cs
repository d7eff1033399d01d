using System.Globalization;
using Sluice.Core.Dispatch;
using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Core.Jobs;

/// <summary>
/// Jobs in Redis. Every write is one script and carries its fence; each may be repeated when its answer was lost. Methods throw
/// what <see cref="RedisDown"/> tells when Redis cannot be asked: what was written is then unknown.
/// </summary>
public sealed class JobStore
{
    private readonly RedisStore redis;
    private readonly PayloadStore payloads;
    private readonly RedisMemory? memory;
    private readonly BatcherSet<Wish, SubmitResult> submits;
    private readonly BatcherSet<JobEnd, EndResult> ends;

    /// <summary>How long an Idempotency-Key is remembered.</summary>
    private static readonly TimeSpan KeepIdempotency = TimeSpan.FromDays(1);

    /// <summary>Passes of a purge: while jobs are submitted some wait after each.</summary>
    private const int PurgePasses = 3;

    /// <summary>Places of the queue read by one command of a purge.</summary>
    private const int TicketsAtOnce = 1000;

    /// <summary>Jobs ended by one script.</summary>
    private const int EndAtOnce = 200;

    /// <summary>How long an end waits for the count of bytes: as long as for a write of dispatch.</summary>
    private static readonly TimeSpan RoomPatience = TimeSpan.FromSeconds(2);

    /// <summary>Characters of why an attempt was lost.</summary>
    private const int MaxWhy = 500;

    private static readonly Script SubmitLua = Script.Load("job-submit");
    private static readonly Script EndLua = Script.Load("job-end");
    private static readonly Script RequeueLua = Script.Load("job-requeue");
    private static readonly Script RetryLua = Script.Load("job-retry");
    private static readonly Script LookLua = Script.Load("job-look");

    /// <summary>Bytes of an output that the count of each job includes (ROOM in <c>jobbytes.part.lua</c>).</summary>
    private const int ShortOutput = 512;

    /// <param name="redis">Where jobs are.</param>
    /// <param name="payloads">Where large inputs and outputs are.</param>
    /// <param name="memory">How full Redis is; null: not watched.</param>
    public JobStore(RedisStore redis, PayloadStore payloads, RedisMemory? memory = null)
    {
        this.redis = redis;
        this.payloads = payloads;
        this.memory = memory;
        submits = new BatcherSet<Wish, SubmitResult>(id => new Batcher<Wish, SubmitResult>(wishes => SubmitAsync(id, wishes),
            w => w.Input.Length + 500, TimeProvider.System));
        ends = new BatcherSet<JobEnd, EndResult>(id => new Batcher<JobEnd, EndResult>(many => EndAsync(id, many), end => end.Bytes, TimeProvider.System));
    }

    /// <summary>Writes a large input to its file, once for all tries to submit the job; small ones stay as they are.</summary>
    public async Task<JobSubmission> SaveInputAsync(JobSubmission job, CancellationToken ct) =>
        job with { Input = await payloads.SaveAsync(job.Input, ct) };

    /// <summary>Deletes what <see cref="SaveInputAsync"/> wrote for a job that was not stored.</summary>
    public void DeleteInput(JobSubmission job) => payloads.Delete(job.Input);

    /// <summary>Stores and queues a job. A large input is written first, if it was not: what then is not accepted leaves a file that is
    /// deleted here. Given up before it was sent, it is not sent.</summary>
    public async Task<SubmitResult> SubmitAsync(JobSubmission job, CancellationToken ct)
    {
        redis.RequireDisk();
        var input = await payloads.SaveAsync(job.Input, ct);
        var result = await submits.For(job.EndpointId).AddAsync(new Wish(job, input), ct).WaitAsync(ct);
        if (result.Outcome != SubmitOutcome.Queued) payloads.Delete(input);
        return result;
    }

    /// <summary>Which limit refuses a job now, before its body is known; null: none, or Redis cannot be asked.</summary>
    public async Task<SubmitResult?> WhyFullAsync(string endpointId, string flow, JobLimits limits, CancellationToken ct)
    {
        var k = new JobKeys(endpointId);
        var (d, db) = (k.Dispatch, redis.Database);
        try
        {
            var (queued, ofFlow, bytes) = (db.HashGetAsync(d.Meta, "queued"), db.HashGetAsync(d.Flows, flow), db.HashGetAsync(k.Bytes, [JobKeys.AllJobs, flow]));
            var held = await bytes.WaitAsync(ct);
            return limits.Reached(Number(await queued), Number(await ofFlow), Number(held[0]), Number(held[1]));
        }
        catch (Exception e) when (RedisDown.Is(e) && !ct.IsCancellationRequested)
        {
            return null;
        }

        static long Number(RedisValue value) => value.IsNull ? 0 : (long)value;
    }

    /// <summary>A job as it is now, or null. With a watcher that gateway is told when it ends. Throws <see cref="PayloadException"/>
    /// when its output is a file that cannot be read.</summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="id">The job.</param>
    /// <param name="watcher">The gateway to be told; null: none.</param>
    /// <param name="ct">Gives up waiting.</param>
    /// <param name="withOutput">False: it is not read.</param>
    public async Task<Job?> LookAsync(string endpointId, string id, string? watcher, CancellationToken ct, bool withOutput = true)
    {
        var k = new JobKeys(endpointId);
        var d = k.Dispatch;
        var r = (RedisResult[])await LookLua.RunAsync(redis.Database,
            [d.Queue, d.Running, d.Meta, d.Asked, d.Again, d.Watched, d.Results, d.Large, k.Gone, k.GoneBefore],
            [id, watcher ?? "", withOutput ? 1 : 0]).WaitAsync(ct);
        if (r.Length == 0) return null;
        var fields = new JobFields((string)r[3], (string)r[4], (string)r[5], (byte[])r[6]) { Expired = (int)r[7] == 1 };
        return fields.ToJob(endpointId, id) with
        {
            Now = DateTimeOffset.FromUnixTimeMilliseconds((long)r[0]),
            Place = (int)r[1],
            MeanRun = double.TryParse((string)r[2], CultureInfo.InvariantCulture, out var mean) ? TimeSpan.FromMilliseconds(mean) : null,
            Output = withOutput && fields.Output is { } stored ? await payloads.LoadAsync(stored, ct) : (ReadOnlyMemory<byte>?)null,
        };
    }

    /// <summary>A job's input, its s3Config and its time limit; null when it is gone.</summary>
    public async Task<(ReadOnlyMemory<byte> Input, byte[]? S3, TimeSpan Timeout)?> InputAsync(string endpointId, string id, CancellationToken ct)
    {
        var k = new JobKeys(endpointId).Dispatch;
        var (text, large) = (redis.Database.HashGetAsync(k.Asked, id), redis.Database.HashGetAsync(k.Large, id + JobFields.InputField));
        if ((byte[]?)await text.WaitAsync(ct) is not { } asked) return null;
        var (input, s3, timeout) = JobFields.Input(asked);
        // A job that ended in the meantime may have no large input any more.
        if ((byte[]?)await large.WaitAsync(ct) is not { } stored) stored = input;
        return JobFields.IsElsewhere(stored) ? null : (await payloads.LoadAsync(stored, ct), s3, timeout);
    }

    /// <summary>Loads an input that a claim brought along.</summary>
    public Task<ReadOnlyMemory<byte>> LoadAsync(byte[] stored, CancellationToken ct) => payloads.LoadAsync(stored, ct);

    /// <summary>Stores the one result of an attempt and gives its slot back. Not ended: the job has another result, or another attempt.</summary>
    /// <param name="grant">The attempt.</param>
    /// <param name="output">JSON.</param>
    /// <param name="ran">What the worker reported.</param>
    /// <param name="ct">Stops waiting.</param>
    /// <param name="maxBytes">The endpoint's limit <c>jobs.maxBytes</c>; 0: none. From half of it on, outputs are stored in files.</param>
    public async Task<EndResult> CompleteAsync(JobGrant grant, ReadOnlyMemory<byte> output, RunTrace ran, CancellationToken ct, long maxBytes = 0)
    {
        var stored = await SaveOutputAsync(grant.EndpointId, output, maxBytes, ct);
        var result = await grant.EndAsync(JobEnd.Completed(grant.Claim.Id, grant.Claim.Fence, Bytes(stored), ran)).WaitAsync(ct);
        if (!result.Ended) payloads.Delete(stored);
        return result;
    }

    /// <summary>Cancels a job, whether it waits or runs. One that has ended stays what it is.</summary>
    public Task<EndResult> CancelAsync(string endpointId, string id, CancellationToken ct) => ends.For(endpointId)
        .AddAsync(JobEnd.Cancelled(id, Cancelled), CancellationToken.None).WaitAsync(ct);

    /// <summary>Ends jobs that still wait; the others stay what they are. Returns how many it ended.</summary>
    public async Task<int> EndQueuedAsync(string endpointId, IReadOnlyCollection<string> ids, string status, JobError error, CancellationToken ct)
    {
        var ended = 0;
        foreach (var part in ids.Chunk(EndAtOnce))
            ended += (await EndAsync(endpointId, Array.ConvertAll(part, id => JobEnd.Unqueued(id, status, error))).WaitAsync(ct)).Count(r => r.Ended);
        return ended;
    }

    /// <summary>Cancels what waits, of one flow or (null) of all; running jobs are not affected. Returns how many.</summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="flow">Whose jobs; null: all.</param>
    /// <param name="ct">Stops between two parts of the work.</param>
    /// <param name="pay">Awaited with the places in the queue that are read next and the jobs that are ended next.</param>
    public async Task<long> PurgeAsync(string endpointId, string? flow, CancellationToken ct, Func<int, int, Task>? pay = null)
    {
        var all = 0L;
        // What others take out of the queue during a pass can hide jobs from it: then another one follows.
        for (var pass = 0; pass < PurgePasses && await WaitingAsync(endpointId, flow, ct) > 0; pass++) all += await PurgeOnceAsync(endpointId, flow, pay, ct);
        return all;
    }

    /// <summary>Reads the queue from its end: what is granted from its head in the meantime moves no place.</summary>
    private async Task<long> PurgeOnceAsync(string endpointId, string? flow, Func<int, int, Task>? pay, CancellationToken ct)
    {
        var queue = new DispatchKeys(endpointId).Queue;
        var all = 0L;
        for (long from = 0; ;)
        {
            if (pay is not null) await pay(TicketsAtOnce, 0);
            var part = await redis.Database.SortedSetRangeByRankAsync(queue, from, from + TicketsAtOnce - 1, Order.Descending).WaitAsync(ct);
            // seq|owner|id|queued|deadline|flow
            var tickets = part.Select(entry => ((string)entry!).Split('|', 6));
            var ids = tickets.Where(t => t[1] == "job" && (flow is null || t[5] == flow)).Select(t => t[2]).ToList();
            if (pay is not null && ids.Count > 0) await pay(0, ids.Count);
            all += await EndQueuedAsync(endpointId, ids, JobStatus.Cancelled, Cancelled, ct);
            if (part.Length < TicketsAtOnce) return all;
            from += part.Length - ids.Count;
        }
    }

    /// <summary>How many jobs wait, of one flow or (null) of all.</summary>
    private async Task<long> WaitingAsync(string endpointId, string? flow, CancellationToken ct)
    {
        var k = new DispatchKeys(endpointId);
        var count = await (flow is null ? redis.Database.HashGetAsync(k.Meta, "queued") : redis.Database.HashGetAsync(k.Flows, flow)).WaitAsync(ct);
        return count.IsNull ? 0 : (long)count;
    }

    /// <summary>Puts a job whose attempt came to no result back to the head of the queue; false when the fence refused it.</summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="id">The job.</param>
    /// <param name="fence">Of the attempt that ended.</param>
    /// <param name="loss">What was lost: whether it counts against the job's attempts, and whether the job runs alone from then on.</param>
    /// <param name="why">In words.</param>
    /// <param name="ct">Gives up waiting.</param>
    public async Task<bool> RequeueAsync(string endpointId, string id, Fence fence, AttemptLoss loss, string why, CancellationToken ct)
    {
        var k = new JobKeys(endpointId).Dispatch;
        return (int)await RequeueLua.RunAsync(redis.Database, [k.Queue, k.Running, k.Flows, k.Meta, k.Asked, k.Again, k.Watched],
            [id, fence.ToString(), LossName(loss), Line(why)]).WaitAsync(ct) == 1;
    }

    /// <summary>Queues a job that failed or timed out again. Returns what it did ("ok", "refused", "expired", "gone") and the status.</summary>
    public async Task<(string Did, string Status)> RetryAsync(string endpointId, string id, CancellationToken ct)
    {
        redis.RequireDisk();
        var k = new JobKeys(endpointId);
        var d = k.Dispatch;
        var r = (string[])await RetryLua.RunAsync(redis.Database,
            [k.Chunks(id), k.Streams, d.Asked, d.Again, d.Results, d.Large, d.Queue, d.Running, d.Flows, d.Meta, d.Finish, k.Dead, k.Outbox, k.Gone, k.GoneBefore,
                k.Bytes],
            [id, endpointId, DispatchScripts.LowPriorityFrom]).WaitAsync(ct);
        return (r[0], r[1]);
    }

    /// <summary>Deletes what the renamed keys of a deleted endpoint name (payload files, streams, deliveries), and then those keys.</summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="suffix">Of the renamed keys; see <c>endpoint-forget.lua</c>.</param>
    /// <param name="ct">Gives up; the next call goes on.</param>
    internal async Task DeleteListedAsync(string endpointId, string suffix, CancellationToken ct)
    {
        var k = new JobKeys(endpointId);
        var (d, db) = (k.Dispatch, redis.Database);
        RedisKey Renamed(RedisKey key) => key.Append(suffix);
        RedisValue[] all =
        [
            .. await db.ListRangeAsync(Renamed(k.Index)).WaitAsync(ct), .. await db.SortedSetRangeByRankAsync(Renamed(k.Late)).WaitAsync(ct),
        ];
        foreach (var part in all.Chunk(EndAtOnce))
        {
            foreach (var asked in await db.HashGetAsync(Renamed(d.Asked), part).WaitAsync(ct))
                if (!asked.IsNull) payloads.Delete(JobFields.Input((byte[])asked!).Input);
            foreach (var result in await db.HashGetAsync(Renamed(d.Results), part).WaitAsync(ct))
                if (!result.IsNull) payloads.Delete(JobFields.Value((byte[])result!));
            await db.KeyDeleteAsync(Array.ConvertAll(part, id => k.Chunks(id!))).WaitAsync(ct);
        }

        foreach (var part in (await db.SortedSetRangeByRankAsync(Renamed(k.Log)).WaitAsync(ct)).Chunk(EndAtOnce))
            await db.KeyDeleteAsync([.. part.Select(hook => k.Hook(hook!))]).WaitAsync(ct);
        foreach (var key in k.Listed) await db.ExecuteAsync("UNLINK", Renamed(key)).WaitAsync(ct);
    }

    private static JobError Cancelled { get; } = new(JobErrors.Cancelled, "the job was cancelled", false);

    private async Task<IReadOnlyList<SubmitResult>> SubmitAsync(string endpointId, IReadOnlyList<Wish> wishes)
    {
        var k = new JobKeys(endpointId);
        var kinds = new CallKinds<(string Spec, int MaxQueued, int FlowMax, long MaxBytes, long FlowMaxBytes, bool More)>(k =>
            [k.Spec, k.MaxQueued, k.FlowMax, k.MaxBytes, k.FlowMaxBytes, k.More ? 1 : 0]);
        var args = new List<RedisValue>(3 * wishes.Count);
        foreach (var (job, input) in wishes)
        {
            var more = More(job);
            args.AddRange([kinds.NumberOf((JobFields.Spec(job), job.MaxQueued, job.FlowMaxQueued, job.MaxBytes, job.FlowMaxBytes, more.Length > 0)),
                job.Id, Bytes(input), .. more]);
        }

        var d = k.Dispatch;
        var r = (RedisResult[])await SubmitLua.RunAsync(redis.Database,
            [d.Queue, d.Flows, d.Meta, d.Finish, k.Index, d.Asked, d.Watched, d.Large, k.Idempotency, k.Gone, k.GoneBefore, k.Bytes],
            [endpointId, DispatchScripts.LowPriorityFrom, Ms(KeepIdempotency), kinds.Count, .. kinds.Args, .. args]);
        var results = wishes.Select(w => new SubmitResult(SubmitOutcome.Queued, w.Job.Id)).ToArray();
        foreach (var not in r.Chunk(4))
        {
            ref var result = ref results[(int)not[0] - 1];
            result = (string)not[1] switch
            {
                "same" => new SubmitResult(SubmitOutcome.Same, (string)not[2]),
                "conflict" => new SubmitResult(SubmitOutcome.Conflict, (string)not[2]),
                "full" => new SubmitResult(SubmitOutcome.QueueFull, result.Id, (long)not[3]),
                "bytes-full" => new SubmitResult(SubmitOutcome.BytesFull, result.Id, (long)not[3]),
                "flow-bytes-full" => new SubmitResult(SubmitOutcome.FlowBytesFull, result.Id, (long)not[3]),
                _ => new SubmitResult(SubmitOutcome.FlowFull, result.Id, (long)not[3]),
            };
        }

        return results;
    }

    /// <summary>What few submissions have beside the input.</summary>
    private static RedisValue[] More(JobSubmission job)
    {
        if (job is { S3: null, Webhook: null, Watcher: null, IdempotencyKey: null }) return [];
        return [job.IdempotencyKey is { } key ? $"{JobKeys.IdempotencyName(job.Flow, key)}|{job.Digest}" : "",
            job.Webhook ?? "", job.S3 is { } s3 ? JobFields.OneLine(s3) : "", job.Watcher ?? ""];
    }

    private async Task<IReadOnlyList<EndResult>> EndAsync(string endpointId, IReadOnlyList<JobEnd> all)
    {
        var k = new JobKeys(endpointId);
        var d = k.Dispatch;
        var (kinds, rest) = EndCall.Args(all);
        return EndCall.Results(all, (RedisResult[])await EndLua.RunAsync(redis.Database,
            [d.Queue, d.Running, d.Asked, d.Again, d.Watched, d.Results, d.Large, d.Flows, d.Meta, k.Expiry, k.Dead, k.Outbox, k.Log, k.Hooks, k.Bytes],
            [endpointId, EndCall.KeepDeadMs, kinds, .. rest]));
    }

    /// <summary>What is stored in Redis for an output: itself, or a reference to its file.</summary>
    internal async Task<ReadOnlyMemory<byte>> SaveOutputAsync(string endpointId, ReadOnlyMemory<byte> output, long maxBytes, CancellationToken ct)
    {
        // A larger output than InlineBytes is stored in a file in any case.
        var inRedis = output.Length is <= ShortOutput or > PayloadStore.InlineBytes || await HasRoomAsync(endpointId, output.Length, maxBytes);
        if (inRedis) return await payloads.SaveAsync(output, ct);
        try
        {
            return await payloads.SaveAsync(output, ct, ShortOutput);
        }
        catch (PayloadException)
        {
            // The bound of memory must not cost a result: it is small enough for Redis.
            return output;
        }
    }

    /// <summary>Whether an output may be stored in Redis. While Redis cannot be asked it may: the write waits for Redis as well.</summary>
    private async Task<bool> HasRoomAsync(string endpointId, int bytes, long maxBytes)
    {
        var k = new JobKeys(endpointId);
        if (memory?.HasNoRoom(endpointId) == true) return false;
        if (maxBytes == 0) return true;
        try
        {
            var held = await redis.Database.HashGetAsync(k.Bytes, JobKeys.AllJobs).WaitAsync(RoomPatience, TimeProvider.System);
            return (held.IsNull ? 0 : (long)held) + bytes <= maxBytes / 2;
        }
        catch (Exception e) when (RedisDown.Is(e))
        {
            return true;
        }
    }

    private readonly record struct Wish(JobSubmission Job, ReadOnlyMemory<byte> Input);

    private static byte[] Bytes(ReadOnlyMemory<byte> value) =>
        System.Runtime.InteropServices.MemoryMarshal.TryGetArray(value, out var a) && a.Offset == 0 && a.Count == a.Array!.Length
            ? a.Array! : value.ToArray();

    /// <summary>One line of what is kept of a lost attempt; a worker's words may be long.</summary>
    private static string LossName(AttemptLoss loss) => loss switch
    {
        AttemptLoss.Free => "free",
        AttemptLoss.Counted => "counted",
        AttemptLoss.Alone => "alone",
        _ => "shared",
    };

    private static string Line(string why) => why.ReplaceLineEndings(" ") is var line && line.Length > MaxWhy ? line[..MaxWhy] + "..." : line;

    private static long Ms(TimeSpan t) => (long)t.TotalMilliseconds;
}
