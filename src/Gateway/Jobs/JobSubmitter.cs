using System.Security.Cryptography;
using System.Text;
using Sluice.Core;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;
using Sluice.Core.Jobs;
using Sluice.Core.Jobs.Webhooks;
using Sluice.Core.Redis;
using Sluice.Gateway.Api;
using Sluice.Gateway.Auth;
using Sluice.Gateway.Forwarding;
using StackExchange.Redis;
using Endpoint = Sluice.Core.Endpoints.Endpoint;

namespace Sluice.Gateway.Jobs;

/// <summary><c>/run</c> and <c>/runsync</c>: reads a job, stores and queues it in one step, and says so.</summary>
public sealed class JobSubmitter(JobStore store, JobBodies bodies, JobReader reader, JobSignals signals, Dispatcher dispatcher,
    OutboundGuard guard, RedisMemory memory, TimeProvider time)
{
    private const int MaxIdempotencyKey = 255;

    private const string KeyNeedsCaller = "Idempotency-Key needs an API key; without one, other callers that send the same Idempotency-Key would get this job. "
        + "Send 'Authorization: Bearer KEY', or leave the header out.";

    /// <summary>How long a webhook's name may take to resolve before it is left to the delivery to check.</summary>
    private static readonly TimeSpan ResolvePatience = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan StorePatience = TimeSpan.FromSeconds(2.5);
    private static readonly TimeSpan StorePause = TimeSpan.FromMilliseconds(100);

    /// <summary>For a minute and more: longer than Redis is away in most cases.</summary>
    private const int CancelTries = 60;
    private static readonly TimeSpan CancelPause = TimeSpan.FromSeconds(1);

    /// <summary>Such jobs at once, a few hundred bytes each; beyond them one may run for nobody.</summary>
    private const int MaxUnknown = 20_000;

    private int unknown;

    /// <summary>Of a body of this size, or of unknown size, the limits are checked before it is read: that costs a call to Redis.</summary>
    private const int LargeBody = 64 << 10;

    /// <summary>When a full queue is worth another try.</summary>
    private static readonly TimeSpan AskAgain = TimeSpan.FromSeconds(5);

    public async Task RunAsync(HttpContext context)
    {
        if (await SubmitAsync(context, watch: false) is not { } submitted) return;
        await AnswerAsync(context, submitted.Id, submitted.Queued ? JobStatus.Queued : null);
    }

    public async Task RunSyncAsync(HttpContext context)
    {
        if (JobsApi.WaitOf(context) is not { } wait)
        {
            await JobsApi.BadWaitAsync(context);
            return;
        }

        if (await SubmitAsync(context, watch: true) is not { } submitted) return;
        var endpoint = context.Admission().Deployment!.Endpoint.Id;
        try
        {
            if (await reader.WaitAsync(endpoint, submitted.Id, wait, context.RequestAborted) is { Expired: false } job)
                await reader.AnswerAsync(context, job);
            else await AnswerAsync(context, submitted.Id, null);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client is gone, and nobody else knows of this job: it does not go on for nobody.
            if (submitted.Shared) return;
            await store.CancelAsync(endpoint, submitted.Id, CancellationToken.None);
            dispatcher.StopJob(endpoint, submitted.Id);
        }
    }

    /// <summary>Null: the client was told why not.</summary>
    private async Task<Submitted?> SubmitAsync(HttpContext context, bool watch)
    {
        var admission = context.Admission();
        var endpoint = admission.Deployment!.Endpoint;
        var limits = LimitsOf(admission, endpoint);
        var fits = ReadKey(context, out var key);
        if (!fits || (key is not null && admission.Caller is null))
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest, fits ? KeyNeedsCaller
                : $"the Idempotency-Key has {context.Request.Headers["Idempotency-Key"].ToString().Length} characters, expected one of 1 to {MaxIdempotencyKey}");
            return null;
        }

        if (await RefusedEarlyAsync(context, endpoint, limits, key)) return null;
        using var body = await bodies.ReadAsync(context, endpoint);
        if (body is null) return null;
        var errors = new List<FieldError>();
        var request = JobRequest.Read(body.Bytes, endpoint, errors);
        if (request?.Webhook is { } url && await guard.WhyNotAsync(url, ResolvePatience, context.RequestAborted) is { } why)
            errors.Add(new FieldError("webhook", url, $"a public https address ({why})"));
        if (request is null || errors.Count > 0)
        {
            await JsonBody.RefuseAsync(context, errors);
            return null;
        }

        CrashPoint.Pass("before-submit");
        if (await TryStoreAsync(context, new JobSubmission
        {
            Id = Guid.CreateVersion7().ToString(),
            EndpointId = endpoint.Id,
            Flow = admission.Flow,
            Weight = admission.Weight,
            Input = request.Input,
            S3 = request.S3,
            Ttl = request.Ttl,
            Timeout = request.Timeout,
            Retention = endpoint.Jobs.Retention,
            MaxRuns = endpoint.Jobs.MaxRuns,
            MaxQueued = limits.Queued,
            FlowMaxQueued = limits.FlowQueued,
            MaxBytes = limits.Bytes,
            FlowMaxBytes = limits.FlowBytes,
            LowPriority = request.LowPriority,
            Webhook = request.Webhook,
            IdempotencyKey = key,
            Digest = key is null ? "" : Convert.ToHexStringLower(SHA256.HashData(body.Bytes.Span)),
            Watcher = watch ? signals.Watcher : null,
        }) is not { } result) return null;
        CrashPoint.Pass("after-submit");
        if (result.Outcome == SubmitOutcome.Queued) dispatcher.JobQueued(endpoint.Id);
        if (result.Outcome is SubmitOutcome.Queued or SubmitOutcome.Same)
            return new Submitted(result.Id, result.Outcome == SubmitOutcome.Queued, Shared: key is not null || request.Webhook is not null);
        await RefuseAsync(context, endpoint, result);
        return null;
    }

    private static JobLimits LimitsOf(Admission admission, Endpoint endpoint)
    {
        var own = admission.Caller?.Limits ?? KeyLimits.None;
        return new JobLimits(endpoint.Jobs.MaxQueued, own.Queued, endpoint.Jobs.MaxBytes, own.JobBytes > 0 ? own.JobBytes : endpoint.Jobs.MaxKeyBytes);
    }

    /// <summary>Refuses what can be refused before the body is read. A repeated submission is not refused for its own sake: its job is stored already.</summary>
    private async Task<bool> RefusedEarlyAsync(HttpContext context, Endpoint endpoint, JobLimits limits, string? key)
    {
        if (memory.HasNoRoom(endpoint.Id))
        {
            EarlyRefusal.LetSend(context);
            await OutOfMemoryAsync(context);
            return true;
        }

        if (key is not null || context.Request.ContentLength <= LargeBody) return false;
        if (await store.WhyFullAsync(endpoint.Id, context.Admission().Flow, limits, context.RequestAborted) is not { } full) return false;
        EarlyRefusal.LetSend(context);
        await RefuseAsync(context, endpoint, full);
        return true;
    }

    private static Task OutOfMemoryAsync(HttpContext context) => Problem.WriteAsync(context, StatusCodes.Status503ServiceUnavailable,
        "Redis is out of memory: its maxmemory is nearly used. New jobs are accepted again when jobs have ended or their retention has passed.", AskAgain);

    /// <summary>Null: the response has been written.</summary>
    private async Task<SubmitResult?> TryStoreAsync(HttpContext context, JobSubmission job)
    {
        try
        {
            return await StoreAsync(job);
        }
        catch (Exception e) when (RedisMemory.IsOutOfMemory(e))
        {
            await OutOfMemoryAsync(context);
            return null;
        }
    }

    /// <summary>An answer of Redis that was lost says nothing: the same id is asked again, until the client's patience would end
    /// (RunPod's JavaScript client has 3 s).</summary>
    private async Task<SubmitResult> StoreAsync(JobSubmission given)
    {
        var job = await store.SaveInputAsync(given, CancellationToken.None);
        var (started, refused) = (time.GetTimestamp(), true);
        using var patience = new CancellationTokenSource(StorePatience, time);
        while (true)
        {
            try
            {
                return await store.SubmitAsync(job, patience.Token);
            }
            catch (Exception e) when (RedisDown.Is(e))
            {
                // A script that Redis refuses has stored nothing.
                refused &= e is RedisServerException or RedisDiskFullException;
                // Memory does not become free within the patience: that takes the end of jobs.
                if (!RedisMemory.IsOutOfMemory(e) && time.GetElapsedTime(started) + StorePause < StorePatience)
                {
                    await Task.Delay(StorePause, time);
                    continue;
                }

                if (refused) store.DeleteInput(job);
                // Who has the key, or hears of its end, will find it; else nobody knows of it.
                // Without its input, unless that is a file: many may be refused while Redis is away.
                else if (job.IdempotencyKey is null && job.Webhook is null && Volatile.Read(ref unknown) < MaxUnknown)
                {
                    Interlocked.Increment(ref unknown);
                    _ = CancelUnknownAsync(job with { Input = PayloadStore.FileOf(job.Input), S3 = null });
                }

                throw;
            }
        }
    }

    /// <summary>A job that its client was told is not taken, and that may be stored all the same, is not run for nobody.</summary>
    private async Task CancelUnknownAsync(JobSubmission job)
    {
        try
        {
            for (var tries = 0; tries < CancelTries; tries++)
            {
                try
                {
                    var end = await store.CancelAsync(job.EndpointId, job.Id, CancellationToken.None);
                    if (!end.Known) store.DeleteInput(job);
                    dispatcher.StopJob(job.EndpointId, job.Id);
                    return;
                }
                catch (Exception)
                {
                    // Of any kind: nothing awaits this task, and the next try may succeed.
                    await Task.Delay(CancelPause, time);
                }
            }
        }
        finally
        {
            Interlocked.Decrement(ref unknown);
        }
    }

    private static bool ReadKey(HttpContext context, out string? key)
    {
        key = null;
        var given = context.Request.Headers["Idempotency-Key"];
        if (given.Count == 0) return true;
        key = given.ToString();
        return given.Count == 1 && key.Length is > 0 and <= MaxIdempotencyKey;
    }

    private static Task RefuseAsync(HttpContext context, Endpoint endpoint, SubmitResult result) => result.Outcome switch
    {
        SubmitOutcome.Conflict => Problem.WriteAsync(context, StatusCodes.Status422UnprocessableEntity,
            $"this Idempotency-Key stands for job {result.Id}, which has another body"),
        SubmitOutcome.QueueFull => Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests,
            $"{result.Held} jobs wait already, the endpoint's limit jobs.maxQueued is {endpoint.Jobs.MaxQueued}", AskAgain),
        SubmitOutcome.FlowFull => Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests,
            $"{result.Held} jobs of this key wait already, which is its limit", AskAgain),
        SubmitOutcome.BytesFull => Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests,
            $"the endpoint's jobs occupy {result.Held} bytes in Redis; with this job they would exceed the endpoint's limit jobs.maxBytes, "
            + $"{endpoint.Jobs.MaxBytes}. {WhenFree}", AskAgain),
        _ => Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests,
            $"the jobs of {(context.Admission().Caller is null ? "callers without a key" : "this key")} occupy {result.Held} bytes in Redis; with this job "
            + $"they would exceed {(context.Admission().Caller is { Limits.JobBytes: > 0 and var own } ? $"the key's limit jobBytes, {own}"
                : $"the endpoint's limit jobs.maxKeyBytes, {endpoint.Jobs.MaxKeyBytes}")}. {WhenFree}", AskAgain),
    };

    private const string WhenFree = "Large inputs are deleted when their jobs complete or are cancelled, results and streams after jobs.retention.";

    /// <summary>RunPod's clients demand 200.</summary>
    /// <param name="context">The request.</param>
    /// <param name="id">The job.</param>
    /// <param name="status">Null: as it is now.</param>
    private async Task AnswerAsync(HttpContext context, string id, string? status)
    {
        status ??= (await reader.WaitAsync(context.Admission().Deployment!.Endpoint.Id, id, TimeSpan.Zero, context.RequestAborted))?.Status;
        if (status is null)
        {
            await Problem.WriteAsync(context, StatusCodes.Status410Gone, $"job {id} was deleted together with its endpoint");
            return;
        }

        var body = Encoding.UTF8.GetBytes($$"""{"id":"{{id}}","status":"{{status}}"}""");
        context.Response.Headers["X-Sluice-Job"] = id;
        context.Response.ContentType = "application/json";
        // Without it the answer goes out in chunks.
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }

    private readonly record struct Submitted(string Id, bool Queued, bool Shared);
}
