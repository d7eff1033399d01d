using Sluice.Domain.Jobs;
using Sluice.Domain.Usage;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Jobs;

/// <summary>
/// Stores jobs in Redis. Every write is one script with a fence, and can be repeated if its answer was lost.
/// </summary>
/// <remarks>
/// When Redis is unavailable, methods throw the exceptions that <see cref="RedisErrors"/> identifies. The outcome of a
/// write is then unknown. Submission, reading, ending and deletion are separate classes with their own state; this
/// class combines them, and moves jobs between attempts.
/// </remarks>
/// <param name="redis">The shared connection to Redis.</param>
/// <param name="payloads">The store of large inputs and outputs.</param>
/// <param name="memory">The memory use of Redis; null: it is not checked.</param>
public sealed class JobStore(RedisStore redis, PayloadStore payloads, RedisMemoryPressure? memory = null)
{
    /// <summary>The maximum length of the reason for a lost attempt in characters.</summary>
    private const int MaxWhy = 500;

    private static readonly Script RequeueLua = Script.Load("job-requeue");
    private static readonly Script RetryLua = Script.Load("job-retry");

    private readonly JobSubmissionWriter submissions = new(redis, payloads);
    private readonly JobRecordReader records = new(redis, payloads);
    private readonly JobEndWriter ends = new(redis);
    private readonly JobOutputWriter outputs = new(redis, payloads, memory);
    private readonly EndpointJobData endpoints = new(redis, payloads);

    /// <summary>
    /// Writes a large input to its file, once for all attempts to submit the job. Small inputs are not changed.
    /// </summary>
    public async Task<JobSubmission> SaveInputAsync(JobSubmission job, CancellationToken ct) =>
        job with { Input = await payloads.SaveAsync(job.Input, ct) };

    /// <summary>Deletes the file that <see cref="SaveInputAsync"/> wrote for a job that was not stored.</summary>
    public void DeleteInput(JobSubmission job) => payloads.Delete(job.Input);

    /// <inheritdoc cref="JobSubmissionWriter.SubmitAsync"/>
    public Task<SubmitResult> SubmitAsync(JobSubmission job, CancellationToken ct) => submissions.SubmitAsync(job, ct);

    /// <inheritdoc cref="JobSubmissionWriter.WhyFullAsync"/>
    public Task<SubmitResult?> WhyFullAsync(string endpointId, string flow, JobLimits limits, CancellationToken ct) =>
        submissions.WhyFullAsync(endpointId, flow, limits, ct);

    /// <inheritdoc cref="JobSubmissionWriter.HasIdempotencyKeyAsync"/>
    public Task<bool> HasIdempotencyKeyAsync(string endpointId, string flow, string key, CancellationToken ct) =>
        submissions.HasIdempotencyKeyAsync(endpointId, flow, key, ct);

    /// <inheritdoc cref="JobRecordReader.LookAsync"/>
    public Task<Job?> LookAsync(
        string endpointId,
        string id,
        string? watcher,
        CancellationToken ct,
        bool withOutput = true) =>
        records.LookAsync(endpointId, id, watcher, ct, withOutput);

    /// <inheritdoc cref="JobRecordReader.InputAsync"/>
    public Task<(ReadOnlyMemory<byte> Input, byte[]? S3, TimeSpan Timeout)?> InputAsync(
        string endpointId,
        string id,
        CancellationToken ct,
        Func<long, Task>? beforeLoad = null) =>
        records.InputAsync(endpointId, id, ct, beforeLoad);

    /// <inheritdoc cref="JobRecordReader.TraceAsync"/>
    public Task<string?> TraceAsync(string endpointId, string id, CancellationToken ct) =>
        records.TraceAsync(endpointId, id, ct);

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
    /// <param name="used">What the attempt used; the bytes of the output are added.</param>
    public async Task<EndResult> CompleteAsync(
        string endpointId,
        JobClaim claim,
        Func<JobEnd, Task<EndResult>> end,
        ReadOnlyMemory<byte> output,
        RunTrace ran,
        CancellationToken ct,
        long maxBytes = 0,
        WorkUsage used = default)
    {
        var stored = await outputs.SaveAsync(endpointId, output, maxBytes, ct);
        var completed = JobEnd.Completed(
            claim.Id, claim.Fence, stored.ToExactArray(), ran, used with { BytesOut = output.Length });
        var result = await end(completed).WaitAsync(ct);
        if (!result.Ended) payloads.Delete(stored);
        return result;
    }

    /// <inheritdoc cref="JobEndWriter.CancelAsync"/>
    public Task<EndResult> CancelAsync(string endpointId, string id, CancellationToken ct) =>
        ends.CancelAsync(endpointId, id, ct);

    /// <summary>
    /// Lets the data of ended jobs expire immediately; the next sweep of <see cref="JobRetention"/> deletes it.
    /// </summary>
    public async Task ExpireAsync(string endpointId, IReadOnlyCollection<Job> jobs, CancellationToken ct)
    {
        var expiry = new JobKeys(endpointId).Expiry;
        var entries = jobs.Where(j => j.Ended is not null)
            .SelectMany(j => new RedisValue[] { 0, $"{j.Ended!.Value.ToUnixTimeMilliseconds()}|{j.Id}" });
        await ReservedWrite.RunAsync(redis.Database, expiry, "ZADD", [.. entries]).WaitAsync(ct);
        // An endpoint at rest is swept when its next data is due.
        await redis.PublishAsync(DispatchChannels.All, DispatchChannels.Wake(endpointId)).WaitAsync(ct);
    }

    /// <inheritdoc cref="JobEndWriter.EndQueuedAsync"/>
    public Task<int> EndQueuedAsync(
        string endpointId,
        IReadOnlyCollection<string> ids,
        string status,
        JobError error,
        CancellationToken ct) =>
        ends.EndQueuedAsync(endpointId, ids, status, error, ct);

    /// <inheritdoc cref="JobEndWriter.PurgeAsync"/>
    public Task<long> PurgeAsync(
        string endpointId,
        string? flow,
        CancellationToken ct,
        Func<int, int, Task>? pay = null) =>
        ends.PurgeAsync(endpointId, flow, ct, pay);

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
            [k.Queue, k.Running, k.Flows, k.Meta, k.Jobs, k.Retries, k.Watchers],
            [id, fence.ToString(), LossName(loss), Line(why)]).WaitAsync(ct) == 1;
    }

    /// <summary>
    /// Queues a job that failed or timed out again. Returns the outcome ("ok", "refused", "expired", "corrupted",
    /// "gone") and the status of the job.
    /// </summary>
    public async Task<(string Did, string Status)> RetryAsync(string endpointId, string id, CancellationToken ct)
    {
        redis.RequireDisk();
        var k = new JobKeys(endpointId);
        var d = k.Dispatch;
        var reply = await RetryLua.RunAsync(
            redis.Database,
            [
                k.Chunks(id), k.Streams, d.Jobs, d.Retries, d.Results, d.Blobs, d.Queue, d.Running, d.Flows, d.Meta,
                d.Finish, k.Dead, k.Outbox, k.Expired, k.ExpiredBefore, k.Bytes,
            ],
            [id, endpointId, DispatchScripts.LowPriorityFrom]).WaitAsync(ct);
        var r = reply.Texts();
        return (r[0], r[1]);
    }

    /// <inheritdoc cref="EndpointJobData.DeleteListedAsync"/>
    internal Task DeleteListedAsync(string endpointId, string suffix, CancellationToken ct) =>
        endpoints.DeleteListedAsync(endpointId, suffix, ct);

    /// <inheritdoc cref="JobOutputWriter.SaveAsync"/>
    internal Task<ReadOnlyMemory<byte>> SaveOutputAsync(
        string endpointId,
        ReadOnlyMemory<byte> output,
        long maxBytes,
        CancellationToken ct) =>
        outputs.SaveAsync(endpointId, output, maxBytes, ct);

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
}
