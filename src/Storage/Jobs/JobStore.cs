using System.Globalization;
using Sluice.Domain.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Jobs;

/// <summary>
/// Stores jobs in Redis. Every write is one script with a fence, and can be repeated if its answer was lost.
/// </summary>
/// <remarks>
/// When Redis is unavailable, methods throw the exceptions that <see cref="RedisErrors"/> identifies. The outcome of a
/// write is then unknown.
/// </remarks>
public sealed class JobStore
{
    private readonly RedisStore redis;
    private readonly PayloadStore payloads;
    private readonly RedisMemoryPressure? memory;
    private readonly RedisCallBatcherSet<PendingSubmission, SubmitResult> submits;
    private readonly RedisCallBatcherSet<JobEnd, EndResult> ends;

    /// <summary>How long an Idempotency-Key is stored.</summary>
    private static readonly TimeSpan KeepIdempotency = TimeSpan.FromDays(1);

    /// <summary>The most passes of a purge: while jobs are submitted, some are left after each pass.</summary>
    private const int PurgePasses = 3;

    /// <summary>The number of queue entries that one command of a purge reads.</summary>
    private const int TicketsAtOnce = 1000;

    /// <summary>The number of jobs that one script ends.</summary>
    private const int EndAtOnce = 200;

    /// <summary>How long an end waits for the byte count: as long as a write of dispatch.</summary>
    private static readonly TimeSpan RoomPatience = TimeSpan.FromSeconds(2);

    /// <summary>The maximum length of the reason for a lost attempt in characters.</summary>
    private const int MaxWhy = 500;

    private static readonly Script SubmitLua = Script.Load("job-submit");
    private static readonly Script EndLua = Script.Load("job-end");
    private static readonly Script RequeueLua = Script.Load("job-requeue");
    private static readonly Script RetryLua = Script.Load("job-retry");
    private static readonly Script LookLua = Script.Load("job-look");

    /// <summary>The output bytes that the byte count of each job includes (ROOM in <c>jobbytes.part.lua</c>).</summary>
    private const int ShortOutput = 512;

    /// <param name="redis">The shared connection to Redis.</param>
    /// <param name="payloads">The store of large inputs and outputs.</param>
    /// <param name="memory">The memory use of Redis; null: it is not checked.</param>
    public JobStore(RedisStore redis, PayloadStore payloads, RedisMemoryPressure? memory = null)
    {
        this.redis = redis;
        this.payloads = payloads;
        this.memory = memory;
        submits = new RedisCallBatcherSet<PendingSubmission, SubmitResult>(id => new RedisCallBatcher<PendingSubmission, SubmitResult>(
            pending => SubmitAsync(id, pending),
            submission => submission.Input.Length + 500,
            TimeProvider.System));
        ends = new RedisCallBatcherSet<JobEnd, EndResult>(id => new RedisCallBatcher<JobEnd, EndResult>(
            many => EndAsync(id, many),
            end => end.Bytes,
            TimeProvider.System));
    }

    /// <summary>
    /// Writes a large input to its file, once for all attempts to submit the job. Small inputs are not changed.
    /// </summary>
    public async Task<JobSubmission> SaveInputAsync(JobSubmission job, CancellationToken ct) =>
        job with { Input = await payloads.SaveAsync(job.Input, ct) };

    /// <summary>Deletes the file that <see cref="SaveInputAsync"/> wrote for a job that was not stored.</summary>
    public void DeleteInput(JobSubmission job) => payloads.Delete(job.Input);

    /// <summary>
    /// Stores and queues a job. A large input that is not in a file yet is written first; the file is deleted if the
    /// job is not accepted. If the call is cancelled before the job was sent to Redis, the job is not sent.
    /// </summary>
    public async Task<SubmitResult> SubmitAsync(JobSubmission job, CancellationToken ct)
    {
        redis.RequireDisk();
        var input = await payloads.SaveAsync(job.Input, ct);
        var pending = new PendingSubmission(job, input);
        var result = await submits.For(job.EndpointId).AddAsync(pending, ct).WaitAsync(ct);
        if (result.Outcome != SubmitOutcome.Queued) payloads.Delete(input);
        return result;
    }

    /// <summary>
    /// Returns the limit that rejects a job now, before its body is known; null: none, or Redis is unavailable.
    /// </summary>
    public async Task<SubmitResult?> WhyFullAsync(
        string endpointId,
        string flow,
        JobLimits limits,
        CancellationToken ct)
    {
        var k = new JobKeys(endpointId);
        var (d, db) = (k.Dispatch, redis.Database);
        try
        {
            var queued = db.HashGetAsync(d.Meta, "queued");
            var ofFlow = db.HashGetAsync(d.Flows, flow);
            var bytes = db.HashGetAsync(k.Bytes, [JobKeys.AllJobs, flow]);
            var held = await bytes.WaitAsync(ct);
            return limits.Reached(Number(await queued), Number(await ofFlow), Number(held[0]), Number(held[1]));
        }
        catch (Exception e) when (RedisErrors.Is(e) && !ct.IsCancellationRequested)
        {
            return null;
        }

        static long Number(RedisValue value) => value.IsNull ? 0 : (long)value;
    }

    /// <summary>
    /// Returns the current state of a job, or null. If a watcher is given, that gateway is notified when the job ends.
    /// Throws <see cref="PayloadException"/> if its output is a file that cannot be read.
    /// </summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="id">The job.</param>
    /// <param name="watcher">The gateway to notify; null: none.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <param name="withOutput">Whether to read the output.</param>
    public async Task<Job?> LookAsync(
        string endpointId,
        string id,
        string? watcher,
        CancellationToken ct,
        bool withOutput = true)
    {
        var k = new JobKeys(endpointId);
        var d = k.Dispatch;
        var r = (RedisResult[])await LookLua.RunAsync(redis.Database,
            [d.Queue, d.Running, d.Meta, d.Asked, d.Again, d.Watched, d.Results, d.Large, k.Gone, k.GoneBefore],
            [id, watcher ?? "", withOutput ? 1 : 0]).WaitAsync(ct);
        if (r.Length == 0) return null;
        var isExpired = (int)r[7] == 1;
        var fields = new JobSerializer((string)r[3], (string)r[4], (string)r[5], (byte[])r[6]) { Expired = isExpired };
        var mean = double.TryParse((string)r[2], CultureInfo.InvariantCulture, out var ms)
            ? TimeSpan.FromMilliseconds(ms)
            : (TimeSpan?)null;
        return fields.ToJob(endpointId, id) with
        {
            Now = DateTimeOffset.FromUnixTimeMilliseconds((long)r[0]),
            Place = (int)r[1],
            MeanRun = mean,
            Output = withOutput && fields.Output is { } stored
                ? await payloads.LoadAsync(stored, ct)
                : (ReadOnlyMemory<byte>?)null,
        };
    }

    /// <summary>Returns the input of a job, its s3Config and its time limit; null if the job is gone.</summary>
    public async Task<(ReadOnlyMemory<byte> Input, byte[]? S3, TimeSpan Timeout)?> InputAsync(
        string endpointId,
        string id,
        CancellationToken ct)
    {
        var k = new JobKeys(endpointId).Dispatch;
        var text = redis.Database.HashGetAsync(k.Asked, id);
        var large = redis.Database.HashGetAsync(k.Large, id + JobSerializer.InputField);
        if ((byte[]?)await text.WaitAsync(ct) is not { } asked) return null;
        var (input, s3, timeout) = JobSerializer.Input(asked);
        // If the job has ended since the first read, its large input may be deleted.
        if ((byte[]?)await large.WaitAsync(ct) is not { } stored) stored = input;
        return JobSerializer.IsElsewhere(stored) ? null : (await payloads.LoadAsync(stored, ct), s3, timeout);
    }

    /// <summary>Loads the input that is part of a claim.</summary>
    public Task<ReadOnlyMemory<byte>> LoadAsync(byte[] stored, CancellationToken ct) => payloads.LoadAsync(stored, ct);

    /// <summary>
    /// Stores the result of an attempt and returns its slot. If the result is not <see cref="EndResult.Ended"/>, the
    /// job has another result or another attempt.
    /// </summary>
    /// <param name="endpointId">The endpoint of the job.</param>
    /// <param name="claim">The attempt.</param>
    /// <param name="end">Ends the job in Redis, together with the release of its slot.</param>
    /// <param name="output">The output as JSON.</param>
    /// <param name="ran">The data that the worker reported.</param>
    /// <param name="ct">Stops waiting for the answer.</param>
    /// <param name="maxBytes">
    /// The endpoint's limit <c>jobs.maxBytes</c>; 0: none. Above half of it, outputs are stored in files.
    /// </param>
    public async Task<EndResult> CompleteAsync(
        string endpointId,
        JobClaim claim,
        Func<JobEnd, Task<EndResult>> end,
        ReadOnlyMemory<byte> output,
        RunTrace ran,
        CancellationToken ct,
        long maxBytes = 0)
    {
        var stored = await SaveOutputAsync(endpointId, output, maxBytes, ct);
        var completed = JobEnd.Completed(claim.Id, claim.Fence, Bytes(stored), ran);
        var result = await end(completed).WaitAsync(ct);
        if (!result.Ended) payloads.Delete(stored);
        return result;
    }

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

    /// <summary>
    /// Puts a job whose attempt produced no result back to the head of the queue. Returns false if the fence rejected
    /// the call.
    /// </summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="id">The job.</param>
    /// <param name="fence">The fence of the attempt that ended.</param>
    /// <param name="loss">
    /// What was lost. It determines whether the attempt counts against the job's limit, and whether the job is isolated
    /// from then on.
    /// </param>
    /// <param name="why">The reason, as text.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task<bool> RequeueAsync(
        string endpointId,
        string id,
        Fence fence,
        AttemptLoss loss,
        string why,
        CancellationToken ct)
    {
        var k = new JobKeys(endpointId).Dispatch;
        return (int)await RequeueLua.RunAsync(
            redis.Database,
            [k.Queue, k.Running, k.Flows, k.Meta, k.Asked, k.Again, k.Watched],
            [id, fence.ToString(), LossName(loss), Line(why)]).WaitAsync(ct) == 1;
    }

    /// <summary>
    /// Queues a job that failed or timed out again. Returns the outcome ("ok", "refused", "expired", "gone") and the
    /// status of the job.
    /// </summary>
    public async Task<(string Did, string Status)> RetryAsync(string endpointId, string id, CancellationToken ct)
    {
        redis.RequireDisk();
        var k = new JobKeys(endpointId);
        var d = k.Dispatch;
        var r = (string[])await RetryLua.RunAsync(
            redis.Database,
            [
                k.Chunks(id), k.Streams, d.Asked, d.Again, d.Results, d.Large, d.Queue, d.Running, d.Flows, d.Meta,
                d.Finish, k.Dead, k.Outbox, k.Gone, k.GoneBefore, k.Bytes,
            ],
            [id, endpointId, DispatchScripts.LowPriorityFrom]).WaitAsync(ct);
        return (r[0], r[1]);
    }

    /// <summary>
    /// Deletes the payload files, streams and deliveries that the renamed keys of a deleted endpoint list, and then
    /// these keys.
    /// </summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="suffix">The suffix of the renamed keys; see <c>endpoint-forget.lua</c>.</param>
    /// <param name="ct">Cancels the call; the next call continues.</param>
    internal async Task DeleteListedAsync(string endpointId, string suffix, CancellationToken ct)
    {
        var k = new JobKeys(endpointId);
        var (d, db) = (k.Dispatch, redis.Database);
        RedisKey Renamed(RedisKey key) => key.Append(suffix);
        RedisValue[] all =
        [
            .. await db.ListRangeAsync(Renamed(k.Index)).WaitAsync(ct),
            .. await db.SortedSetRangeByRankAsync(Renamed(k.Late)).WaitAsync(ct),
        ];
        foreach (var part in all.Chunk(EndAtOnce))
        {
            foreach (var asked in await db.HashGetAsync(Renamed(d.Asked), part).WaitAsync(ct))
                if (!asked.IsNull) payloads.Delete(JobSerializer.Input((byte[])asked!).Input);
            foreach (var result in await db.HashGetAsync(Renamed(d.Results), part).WaitAsync(ct))
                if (!result.IsNull) payloads.Delete(JobSerializer.Value((byte[])result!));
            await db.KeyDeleteAsync(Array.ConvertAll(part, id => k.Chunks(id!))).WaitAsync(ct);
        }

        foreach (var part in (await db.SortedSetRangeByRankAsync(Renamed(k.Log)).WaitAsync(ct)).Chunk(EndAtOnce))
            await db.KeyDeleteAsync([.. part.Select(hook => k.Hook(hook!))]).WaitAsync(ct);
        foreach (var key in k.Listed) await db.ExecuteAsync("UNLINK", Renamed(key)).WaitAsync(ct);
    }

    private static JobError Cancelled { get; } = new(JobErrors.Cancelled, "the job was cancelled", false);

    private async Task<IReadOnlyList<SubmitResult>> SubmitAsync(
        string endpointId,
        IReadOnlyList<PendingSubmission> submissions)
    {
        var k = new JobKeys(endpointId);
        var kinds = new ArgumentInterner<SubmitKind>(k =>
            [k.Spec, k.MaxQueued, k.FlowMax, k.MaxBytes, k.FlowMaxBytes, k.More ? 1 : 0]);
        var args = new List<RedisValue>(3 * submissions.Count);
        foreach (var (job, input) in submissions)
        {
            var more = More(job);
            var kind = new SubmitKind(
                JobSerializer.Spec(job),
                job.MaxQueued,
                job.FlowMaxQueued,
                job.MaxBytes,
                job.FlowMaxBytes,
                more.Length > 0);
            args.AddRange([kinds.NumberOf(kind), job.Id, Bytes(input), .. more]);
        }

        var d = k.Dispatch;
        var r = (RedisResult[])await SubmitLua.RunAsync(
            redis.Database,
            [
                d.Queue, d.Flows, d.Meta, d.Finish, k.Index, d.Asked, d.Watched, d.Large, k.Idempotency, k.Gone,
                k.GoneBefore, k.Bytes,
            ],
            [
                endpointId, DispatchScripts.LowPriorityFrom, Ms(KeepIdempotency), kinds.Count, .. kinds.Args, .. args,
            ]);
        var results = submissions.Select(s => new SubmitResult(SubmitOutcome.Queued, s.Job.Id)).ToArray();
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

    /// <summary>Returns the arguments that only few submissions have.</summary>
    private static RedisValue[] More(JobSubmission job)
    {
        if (job is { S3: null, Webhook: null, Watcher: null, IdempotencyKey: null }) return [];
        return
        [
            job.IdempotencyKey is { } key ? $"{JobKeys.IdempotencyName(job.Flow, key)}|{job.Digest}" : "",
            job.Webhook ?? "",
            job.S3 is { } s3 ? JobSerializer.OneLine(s3) : "",
            job.Watcher ?? "",
        ];
    }

    private async Task<IReadOnlyList<EndResult>> EndAsync(string endpointId, IReadOnlyList<JobEnd> all)
    {
        var k = new JobKeys(endpointId);
        var d = k.Dispatch;
        var (kinds, rest) = EndCall.Args(all);
        return EndCall.Results(all, (RedisResult[])await EndLua.RunAsync(
            redis.Database,
            [
                d.Queue, d.Running, d.Asked, d.Again, d.Watched, d.Results, d.Large, d.Flows, d.Meta, k.Expiry, k.Dead,
                k.Outbox, k.Log, k.Hooks, k.Bytes,
            ],
            [endpointId, EndCall.KeepDeadMs, kinds, .. rest]));
    }

    /// <summary>Returns the Redis value for an output: the output, or a reference to its file.</summary>
    internal async Task<ReadOnlyMemory<byte>> SaveOutputAsync(
        string endpointId,
        ReadOnlyMemory<byte> output,
        long maxBytes,
        CancellationToken ct)
    {
        // An output that is larger than InlineBytes is stored in a file in any case.
        var inRedis = output.Length is <= ShortOutput or > PayloadStore.InlineBytes
            || await HasRoomAsync(endpointId, output.Length, maxBytes);
        if (inRedis) return await payloads.SaveAsync(output, ct);
        try
        {
            return await payloads.SaveAsync(output, ct, ShortOutput);
        }
        catch (PayloadException)
        {
            // The memory limit must not cause the loss of a result: the output is small enough for Redis.
            return output;
        }
    }

    /// <summary>
    /// Returns whether an output may be stored in Redis. True while Redis is unavailable: the write waits for Redis as
    /// well.
    /// </summary>
    private async Task<bool> HasRoomAsync(string endpointId, int bytes, long maxBytes)
    {
        var k = new JobKeys(endpointId);
        if (memory?.HasNoRoom(endpointId) == true) return false;
        if (maxBytes == 0) return true;
        try
        {
            var held = await redis.Database.HashGetAsync(k.Bytes, JobKeys.AllJobs)
                .WaitAsync(RoomPatience, TimeProvider.System);
            return (held.IsNull ? 0 : (long)held) + bytes <= maxBytes / 2;
        }
        catch (Exception e) when (RedisErrors.Is(e))
        {
            return true;
        }
    }

    /// <summary>A submission, with the input as it is stored in Redis.</summary>
    private readonly record struct PendingSubmission(JobSubmission Job, ReadOnlyMemory<byte> Input);

    /// <summary>The values that several submissions of one call may share.</summary>
    private readonly record struct SubmitKind(
        string Spec,
        int MaxQueued,
        int FlowMax,
        long MaxBytes,
        long FlowMaxBytes,
        bool More);

    private static byte[] Bytes(ReadOnlyMemory<byte> value) =>
        System.Runtime.InteropServices.MemoryMarshal.TryGetArray(value, out var a)
            && a.Offset == 0 && a.Count == a.Array!.Length
            ? a.Array!
            : value.ToArray();

    private static string LossName(AttemptLoss loss) => loss switch
    {
        AttemptLoss.Free => "free",
        AttemptLoss.Counted => "counted",
        AttemptLoss.Alone => "alone",
        _ => "shared",
    };

    /// <summary>Returns a reason on one line, limited in length: the text may come from a worker.</summary>
    private static string Line(string why) =>
        why.ReplaceLineEndings(" ") is var line && line.Length > MaxWhy ? line[..MaxWhy] + "..." : line;

    private static long Ms(TimeSpan t) => (long)t.TotalMilliseconds;
}
