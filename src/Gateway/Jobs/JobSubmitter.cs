using System.Security.Cryptography;
using System.Text;
using Sluice.Dispatch;
using Sluice.Domain.Declarations;
using Sluice.Domain.Jobs;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Gateway.Limits;
using Sluice.Gateway.Observability;
using Sluice.Gateway.Tokens;
using Sluice.Gateway.Tracing;
using Sluice.Gateway.Usage;
using Sluice.Shared;
using Sluice.Storage.Jobs;
using Sluice.Storage.Keys;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using StackExchange.Redis;
using Endpoint = Sluice.Domain.Declarations.Endpoint;

namespace Sluice.Gateway.Jobs;

/// <summary>
/// Handles <c>/run</c> and <c>/runsync</c>: reads a job, then stores and queues it in one Redis call.
/// </summary>
public sealed class JobSubmitter(JobStore store, JobBodyReader bodies, JobReader reader, JobSignals signals,
    Dispatcher dispatcher, TokenLimits tokens, BudgetGuard budgets, TokenCosts costs,
    OutboundGuard guard, CanaryJobs canaries, RedisMemoryPressure memory, GatewayMetrics metrics, TimeProvider time)
{
    private const int MaxIdempotencyKey = 255;

    private const string KeyNeedsCaller = "Idempotency-Key needs an API key; without one, other callers that send the "
        + "same Idempotency-Key would get this job. "
        + "Send 'Authorization: Bearer KEY', or leave the header out.";

    /// <summary>
    /// How long to wait for the DNS resolution of a webhook host. After that, only the delivery checks its address.
    /// </summary>
    private static readonly TimeSpan ResolveTimeout = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan StoreTimeout = TimeSpan.FromSeconds(2.5);
    private static readonly TimeSpan StorePause = TimeSpan.FromMilliseconds(100);

    /// <summary>The attempts take at least one minute, which is longer than most outages of Redis.</summary>
    private const int CancelTries = 60;
    private static readonly TimeSpan CancelPause = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Maximum number of concurrent cancellations, a few hundred bytes each. Beyond it, a job with an unknown state may
    /// run although no client has its id.
    /// </summary>
    private const int MaxUnknown = 20_000;

    private int unknown;

    /// <summary>
    /// Bodies that are larger than this, or of unknown size, are checked against the limits before they are read. The
    /// check is an additional Redis call.
    /// </summary>
    private const int LargeBody = 64 << 10;

    /// <summary>The Retry-After of a full queue.</summary>
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(5);

    /// <summary>Handles <c>/run</c>.</summary>
    public async Task RunAsync(HttpContext context)
    {
        if (await SubmitAsync(context, watch: false) is not { } submitted) return;
        await WriteStatusAsync(context, submitted.Id, submitted.Queued ? JobStatus.Queued : null);
    }

    /// <summary>Handles <c>/runsync</c>.</summary>
    public async Task RunSyncAsync(HttpContext context)
    {
        if (JobsApi.ReadWait(context) is not { } wait)
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
            else await WriteStatusAsync(context, submitted.Id, null);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client has disconnected. If no other client can know the job, it is cancelled.
            if (submitted.Shared) return;
            var end = await store.CancelAsync(endpoint, submitted.Id, CancellationToken.None);
            dispatcher.StopJob(endpoint, submitted.Id);
            if (end.Ended) await budgets.SettleJobAsync(endpoint, context.Admission().Flow, submitted.Id, 0);
        }
    }

    /// <summary>Queues a job of another API. False: an error response was written.</summary>
    /// <param name="context">A request whose route names the endpoint of the job.</param>
    /// <param name="job">The job.</param>
    public async Task<bool> QueueAsync(HttpContext context, JobSubmission job)
    {
        if (memory.HasNoRoom(job.EndpointId))
        {
            await RejectOutOfMemoryAsync(context);
            return false;
        }

        if (await RejectTokensAsync(context, job.Id, job.Input, job.Path ?? "/run")) return false;
        if (await TryStoreAsync(context, job) is not { } result) return false;
        metrics.Arrived(job.EndpointId);
        if (result.Outcome == SubmitOutcome.Queued) dispatcher.JobQueued(job.EndpointId);
        else await RejectAsync(context, context.Admission().Deployment!.Endpoint, result);
        return result.Outcome == SubmitOutcome.Queued;
    }

    /// <summary>Submits the job of a request. Null: an error response was written.</summary>
    private async Task<Submitted?> SubmitAsync(HttpContext context, bool watch)
    {
        var admission = context.Admission();
        if (!ReadKey(context, out var key) || (key is not null && admission.Caller is null))
        {
            await RejectKeyAsync(context, key);
            return null;
        }

        if (key is not null)
            context.Admit(admission = await canaries.PinAsync(admission, key, context.RequestAborted));
        var endpoint = admission.Deployment!.Endpoint;
        var limits = GetLimits(admission, endpoint);
        if (await RejectEarlyAsync(context, endpoint, limits, key)) return null;
        using var body = await bodies.ReadAsync(context, endpoint);
        if (body is null) return null;
        var errors = new List<FieldError>();
        var request = JobRequest.Read(body.Bytes, endpoint, errors);
        if (request?.Webhook is { } url && await guard.GetRejectionReasonAsync(url, ResolveTimeout,
            context.RequestAborted) is { } why)
            errors.Add(new FieldError("webhook", url, $"a public https URL ({why})"));
        if (request is null || errors.Count > 0)
        {
            await JsonBody.RefuseAsync(context, errors);
            return null;
        }

        var id = JobId.New(admission.CanaryOf is null ? null : endpoint.Id);
        if (await RejectTokensAsync(context, id, request.Input, "/run")) return null;
        CrashPoint.Pass("before-submit");
        if (await TryStoreAsync(context, new JobSubmission
        {
            Id = id,
            EndpointId = endpoint.Id,
            Flow = admission.Flow,
            Weight = costs.Weigh(endpoint.Id, admission.Flow, admission.Weight),
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
        metrics.Arrived(endpoint.Id);
        if (result.Outcome is SubmitOutcome.Queued or SubmitOutcome.Same)
            return new Submitted(result.Id, result.Outcome == SubmitOutcome.Queued,
                Shared: key is not null || request.Webhook is not null);
        await RejectAsync(context, endpoint, result);
        return null;
    }

    /// <summary>Returns the limits of the endpoint and of the caller.</summary>
    public static JobLimits GetLimits(AuthenticatedRequest admission, Endpoint endpoint)
    {
        var own = admission.Caller?.Limits ?? KeyLimits.None;
        return new JobLimits(endpoint.Jobs.MaxQueued, own.Queued, endpoint.Jobs.MaxBytes,
            own.JobBytes > 0 ? own.JobBytes : endpoint.Jobs.MaxKeyBytes);
    }

    /// <summary>
    /// Checks the limits before the body is read. A request with an Idempotency-Key is not rejected here, because its
    /// job may already be stored.
    /// </summary>
    private async Task<bool> RejectEarlyAsync(HttpContext context, Endpoint endpoint, JobLimits limits, string? key)
    {
        if (memory.HasNoRoom(endpoint.Id))
        {
            RequestBodyDrain.LetSend(context);
            await RejectOutOfMemoryAsync(context);
            return true;
        }

        if (key is not null || context.Request.ContentLength <= LargeBody) return false;
        if (await store.WhyFullAsync(endpoint.Id, context.Admission().Flow, limits,
            context.RequestAborted) is not { } full) return false;
        RequestBodyDrain.LetSend(context);
        await RejectAsync(context, endpoint, full);
        return true;
    }

    /// <summary>Reserves the tokens of a job that uses some, or rejects it.</summary>
    private async Task<bool> RejectTokensAsync(
        HttpContext context, string id, ReadOnlyMemory<byte> input, string path)
    {
        var (deployment, flow) = (context.Admission().Deployment!, context.Admission().Flow);
        if (TextRoutes.AssumedTokens("POST", path, deployment.Template.IsBuiltIn) is not { } assumed
            || await tokens.TryReserveJobAsync(
                deployment.Endpoint, flow, id, input, assumed, context.RequestAborted) is not { } wait) return false;
        await Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests,
            $"The jobs of key {flow} may use half of its tokens per minute (tokensPerMinute of the key), and they have "
            + "used it. Send the job again later.", wait);
        return true;
    }

    private static Task RejectOutOfMemoryAsync(HttpContext context) =>
        Problem.WriteAsync(context, StatusCodes.Status503ServiceUnavailable,
        "Redis has used 90 % or more of its maxmemory, so new jobs are rejected. They are accepted again when jobs "
        + "have ended and their retention has passed.", RetryDelay);

    /// <summary>Stores the job. Null: an error response was written.</summary>
    private async Task<SubmitResult?> TryStoreAsync(HttpContext context, JobSubmission job)
    {
        var deployment = context.Admission().Deployment!;
        var endpoint = deployment.Endpoint;
        job = job with { Tokens = tokens.EstimateJob(deployment, job.Path ?? "/run", job.Input) };
        if (await budgets.TryReserveJobAsync(endpoint.Id, job.Flow, job.Id, job.Tokens, job.Ttl) is { } refusal)
        {
            await tokens.ReturnJobAsync(endpoint, job.Flow, job.Id);
            // A repeated submission finds its job, which has a reservation. Without room for a job, no other is stored.
            if (job.IdempotencyKey is not null
                && await StoreAsync(job with { MaxQueued = 0 }) is
                    { Outcome: SubmitOutcome.Same or SubmitOutcome.Conflict } known) return known;
            await budgets.RefuseAsync(context, context.Admission(), refusal);
            return null;
        }

        try
        {
            var result = await StoreTracedAsync(context, job);
            if (result.Outcome != SubmitOutcome.Queued)
            {
                await tokens.ReturnJobAsync(endpoint, job.Flow, job.Id);
                await budgets.SettleJobAsync(endpoint.Id, job.Flow, job.Id, 0);
            }

            return result;
        }
        catch (Exception e) when (RedisMemoryPressure.IsOutOfMemory(e))
        {
            await tokens.ReturnJobAsync(endpoint, job.Flow, job.Id);
            await RejectOutOfMemoryAsync(context);
            return null;
        }
    }

    /// <summary>Stores the job, with the span of its submission if the request is recorded.</summary>
    private async Task<SubmitResult> StoreTracedAsync(HttpContext context, JobSubmission job)
    {
        using var span = JobTrace.StartSubmission(context, job.EndpointId, job.Id);
        if (span is null) return await StoreAsync(job);
        var result = await StoreAsync(job with { Trace = TraceText.Format(span.Context) });
        // With an Idempotency-Key, it is the job of an earlier submission.
        span.SetTag(SpanNames.MessageId, result.Id).SetTag(SpanNames.Outcome, result.Outcome.ToString());
        return result;
    }

    /// <summary>
    /// Stores the job, and retries with the same id if the response of Redis was lost. The retries end before the
    /// client times out (RunPod's JavaScript client after 3 s).
    /// </summary>
    private async Task<SubmitResult> StoreAsync(JobSubmission given)
    {
        var job = await store.SaveInputAsync(given, CancellationToken.None);
        var (started, rejected) = (time.GetTimestamp(), true);
        using var timeout = new CancellationTokenSource(StoreTimeout, time);
        while (true)
        {
            try
            {
                return await store.SubmitAsync(job, timeout.Token);
            }
            catch (Exception e) when (RedisErrors.Is(e))
            {
                // A script that Redis rejects has stored nothing.
                rejected &= e is RedisServerException or RedisDiskFullException;
                // Retries do not help if memory is full: jobs must end before memory is free.
                if (!RedisMemoryPressure.IsOutOfMemory(e) && time.GetElapsedTime(started) + StorePause < StoreTimeout)
                {
                    await Task.Delay(StorePause, time);
                    continue;
                }

                if (rejected) store.DeleteInput(job);
                // A client with the Idempotency-Key or the webhook can find the job. Otherwise no client has its id.
                // Only an input file is kept for the cancellation: many submissions can fail during an outage of Redis.
                else if (job.IdempotencyKey is null && job.Webhook is null && Volatile.Read(ref unknown) < MaxUnknown)
                {
                    Interlocked.Increment(ref unknown);
                    _ = CancelUnknownAsync(job with { Input = PayloadStore.FileOf(job.Input), S3 = null });
                }

                throw;
            }
        }
    }

    /// <summary>
    /// Cancels a job that may be stored although its client got an error response, so that it does not run without a
    /// client.
    /// </summary>
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
                    // All exceptions: no caller awaits this task, and the next try may succeed.
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
        var given = context.Request.Headers["Idempotency-Key"];
        key = given is [{ Length: > 0 and <= MaxIdempotencyKey } one] ? one : null;
        return given.Count == 0 || key is not null;
    }

    private static Task RejectKeyAsync(HttpContext context, string? key) =>
        Problem.WriteAsync(context, StatusCodes.Status400BadRequest, key is not null ? KeyNeedsCaller
            : $"The header Idempotency-Key has {context.Request.Headers["Idempotency-Key"].ToString().Length} "
            + $"characters; expected 1 to {MaxIdempotencyKey}.");

    private static Task RejectAsync(HttpContext context, Endpoint endpoint, SubmitResult result) =>
        result.Outcome switch
    {
        SubmitOutcome.Conflict => Problem.WriteAsync(context, StatusCodes.Status422UnprocessableEntity,
            $"Job {result.Id} was submitted with this Idempotency-Key and another body. Use a new Idempotency-Key for "
            + "another body."),
        SubmitOutcome.QueueFull => Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests,
            $"The endpoint has {result.Held} queued jobs; expected at most {endpoint.Jobs.MaxQueued} (jobs.maxQueued "
            + "of the endpoint). Send the job again later.", RetryDelay),
        SubmitOutcome.FlowFull => Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests,
            $"This key has {result.Held} queued jobs, which is its limit. Send the job again later.", RetryDelay),
        SubmitOutcome.BytesFull => Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests,
            $"The jobs of the endpoint occupy {result.Held} bytes in Redis; with this job they would exceed "
            + $"{endpoint.Jobs.MaxBytes} bytes (jobs.maxBytes of the endpoint). {WhenFree}", RetryDelay),
        _ => RejectKeyBytesAsync(context, endpoint, result),
    };

    private static Task RejectKeyBytesAsync(HttpContext context, Endpoint endpoint, SubmitResult result)
    {
        var caller = context.Admission().Caller;
        var owner = caller is null ? "callers without a key" : "this key";
        var limit = caller is { Limits.JobBytes: > 0 and var own } ? $"{own} bytes (jobBytes of the key)"
            : $"{endpoint.Jobs.MaxKeyBytes} bytes (jobs.maxKeyBytes of the endpoint)";
        return Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests,
            $"The jobs of {owner} occupy {result.Held} bytes in Redis; with this job they would exceed {limit}. "
            + WhenFree, RetryDelay);
    }

    private const string WhenFree = "Large inputs are deleted when their jobs complete or are cancelled, results and "
        + "streams after jobs.retention.";

    /// <summary>Writes id and status of the job. RunPod's clients require status 200.</summary>
    /// <param name="context">The request.</param>
    /// <param name="id">The job id.</param>
    /// <param name="status">The job status. Null: read the current status.</param>
    private async Task WriteStatusAsync(HttpContext context, string id, string? status)
    {
        status ??= (await reader.WaitAsync(context.Admission().Deployment!.Endpoint.Id, id, TimeSpan.Zero,
            context.RequestAborted))?.Status;
        if (status is null)
        {
            await Problem.WriteAsync(context, StatusCodes.Status410Gone,
                $"Job {id} was deleted together with its endpoint.");
            return;
        }

        var body = Encoding.UTF8.GetBytes($$"""{"id":"{{id}}","status":"{{status}}"}""");
        context.Response.Headers["X-Sluice-Job"] = id;
        context.Response.ContentType = "application/json";
        // Without a length the response would be chunked.
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }

    private readonly record struct Submitted(string Id, bool Queued, bool Shared);
}
