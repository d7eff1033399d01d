using System.Text;
using Sluice.Domain.Jobs;
using Sluice.Domain.Schema;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Jobs;

/// <summary>Stores and queues new jobs, and checks the limits of their endpoint.</summary>
internal sealed class JobSubmissionWriter
{
    /// <summary>How long an Idempotency-Key is stored.</summary>
    private static readonly TimeSpan KeepIdempotency = TimeSpan.FromDays(1);

    private static readonly Script SubmitLua = Script.Load("job-submit");

    private readonly RedisStore redis;
    private readonly PayloadStore payloads;
    private readonly RedisCallBatcherSet<PendingSubmission, SubmitResult> submits;

    public JobSubmissionWriter(RedisStore redis, PayloadStore payloads)
    {
        this.redis = redis;
        this.payloads = payloads;
        submits = new RedisCallBatcherSet<PendingSubmission, SubmitResult>(id =>
            new RedisCallBatcher<PendingSubmission, SubmitResult>(
                pending => StoreAsync(id, pending),
                submission => submission.Input.Length + 500,
                TimeProvider.System));
    }

    /// <summary>
    /// Stores and queues a job. A large input that is not in a file yet is written first; the file is deleted if the
    /// job is not accepted. If the call is cancelled before the job was sent to Redis, the job is not sent.
    /// </summary>
    public async Task<SubmitResult> SubmitAsync(JobSubmission job, CancellationToken ct)
    {
        redis.RequireDisk();
        var input = await payloads.SaveAsync(job.Input, ct);
        var pending = new PendingSubmission(WithoutUnreadable(job), input);
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

    private async Task<IReadOnlyList<SubmitResult>> StoreAsync(
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
            args.AddRange([kinds.NumberOf(kind), job.Id, input.ToExactArray(), .. more]);
        }

        var d = k.Dispatch;
        var reply = await redis.RunAcknowledgedAsync(
            SubmitLua,
            [
                d.Queue, d.Flows, d.Meta, d.Finish, k.Index, d.Jobs, d.Watchers, d.Blobs, k.Idempotency, k.Expired,
                k.ExpiredBefore, k.Bytes,
            ],
            [
                endpointId, DispatchScripts.LowPriorityFrom, (long)KeepIdempotency.TotalMilliseconds, kinds.Count,
                .. kinds.Args, .. args,
            ]);
        var results = submissions.Select(s => new SubmitResult(SubmitOutcome.Queued, s.Job.Id)).ToArray();
        foreach (var not in reply.Items().Chunk(4))
        {
            ref var result = ref results[(int)not[0] - 1];
            result = not[1].Text() switch
            {
                "same" => new SubmitResult(SubmitOutcome.Same, not[2].Text()),
                "conflict" => new SubmitResult(SubmitOutcome.Conflict, not[2].Text()),
                "full" => new SubmitResult(SubmitOutcome.QueueFull, result.Id, (long)not[3]),
                "bytes-full" => new SubmitResult(SubmitOutcome.BytesFull, result.Id, (long)not[3]),
                "flow-bytes-full" => new SubmitResult(SubmitOutcome.FlowBytesFull, result.Id, (long)not[3]),
                _ => new SubmitResult(SubmitOutcome.FlowFull, result.Id, (long)not[3]),
            };
        }

        return results;
    }

    /// <summary>Whether an endpoint stores a job of a flow under an Idempotency-Key.</summary>
    public Task<bool> HasIdempotencyKeyAsync(string endpointId, string flow, string key, CancellationToken ct) =>
        redis.Database.KeyExistsAsync(
            new JobKeys(endpointId).Idempotency.Append(JobKeys.IdempotencyName(flow, key))).WaitAsync(ct);

    /// <summary>
    /// Returns the submission without what a gateway of an earlier build cannot read, while such gateways may run.
    /// </summary>
    private JobSubmission WithoutUnreadable(JobSubmission job)
    {
        var (tokens, traces) = (
            redis.Schema.Allows(SchemaVersions.Tokens), redis.Schema.Allows(SchemaVersions.JobTraces));
        return tokens && traces
            ? job
            : job with { Tokens = tokens ? job.Tokens : 0, Trace = traces ? job.Trace : null };
    }

    /// <summary>Returns the arguments that only few submissions have.</summary>
    private static RedisValue[] More(JobSubmission job)
    {
        if (job is { S3: null, Path: null, Webhook: null, Watcher: null, IdempotencyKey: null, Trace: null })
            return [];
        var s3 = job.Path is { } path ? Encoding.UTF8.GetBytes(path)
            : job.S3 is { } config ? JobSerializer.OneLine(config) : [];
        return
        [
            job.IdempotencyKey is { } key ? $"{JobKeys.IdempotencyName(job.Flow, key)}|{job.Digest}" : "",
            job.Webhook ?? "",
            JobSerializer.JoinTrace(job.Trace, s3),
            job.Watcher ?? "",
        ];
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
}
