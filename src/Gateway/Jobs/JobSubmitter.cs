using System.Buffers;
using System.IO.Pipelines;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http.Features;
using Sluice.Core;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;
using Sluice.Core.Jobs;
using Sluice.Core.Jobs.Webhooks;
using Sluice.Core.Redis;
using Sluice.Gateway.Api;
using Sluice.Gateway.Forwarding;
using StackExchange.Redis;
using Endpoint = Sluice.Core.Endpoints.Endpoint;

namespace Sluice.Gateway.Jobs;

/// <summary><c>/run</c> and <c>/runsync</c>: reads a job, stores and queues it in one step, and says so.</summary>
public sealed class JobSubmitter(JobStore store, JobReader reader, JobSignals signals, Dispatcher dispatcher, OutboundGuard guard,
    TimeProvider time)
{
    private const int MaxIdempotencyKey = 255;

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
        if (!ReadKey(context, out var key))
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                $"the Idempotency-Key has {context.Request.Headers["Idempotency-Key"].ToString().Length} characters, expected one of 1 to {MaxIdempotencyKey}");
            return null;
        }

        if (await ReadBodyAsync(context, endpoint) is not { } body) return null;
        var errors = new List<FieldError>();
        var request = JobRequest.Read(body, endpoint, errors);
        if (request?.Webhook is { } url && await guard.WhyNotAsync(url, ResolvePatience, context.RequestAborted) is { } why)
            errors.Add(new FieldError("webhook", url, $"a public https address ({why})"));
        if (request is null || errors.Count > 0)
        {
            await JsonBody.RefuseAsync(context, errors);
            return null;
        }

        CrashPoint.Pass("before-submit");
        var result = await StoreAsync(new JobSubmission
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
            MaxQueued = endpoint.Jobs.MaxQueued,
            FlowMaxQueued = admission.Caller?.Limits.Queued ?? 0,
            LowPriority = request.LowPriority,
            Webhook = request.Webhook,
            IdempotencyKey = key,
            Digest = key is null ? "" : Convert.ToHexStringLower(SHA256.HashData(body.Span)),
            Watcher = watch ? signals.Watcher : null,
        });
        CrashPoint.Pass("after-submit");
        if (result.Outcome == SubmitOutcome.Queued) dispatcher.JobQueued(endpoint.Id);
        if (result.Outcome is SubmitOutcome.Queued or SubmitOutcome.Same)
            return new Submitted(result.Id, result.Outcome == SubmitOutcome.Queued, Shared: key is not null || request.Webhook is not null);
        await RefuseAsync(context, endpoint, result);
        return null;
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
                if (time.GetElapsedTime(started) + StorePause < StorePatience)
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

    private static async Task<ReadOnlyMemory<byte>?> ReadBodyAsync(HttpContext context, Endpoint endpoint)
    {
        var limit = endpoint.Jobs.MaxInputBytes;
        if (context.Request.ContentLength > limit)
        {
            EarlyRefusal.LetSend(context);
            return await TooLargeAsync(context.Request.ContentLength.Value);
        }

        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } feature) feature.MaxRequestBodySize = limit;
        var input = context.Request.BodyReader;
        while (true)
        {
            ReadResult read;
            try
            {
                read = await input.ReadAsync(context.RequestAborted);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                // Kestrel throws more than its own kind at a body: a chunk size beyond 64 bits overflows its reader.
                if (e is BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge }) return await TooLargeAsync(limit + 1);
                await Problem.WriteAsync(context, (e as BadHttpRequestException)?.StatusCode ?? StatusCodes.Status400BadRequest,
                    $"the body cannot be read: {e.Message}");
                return null;
            }

            if (read.Buffer.Length > limit) return await TooLargeAsync(read.Buffer.Length);
            if (read.IsCompleted)
            {
                var body = read.Buffer.ToArray();
                input.AdvanceTo(read.Buffer.End);
                return body;
            }

            input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }

        async Task<ReadOnlyMemory<byte>?> TooLargeAsync(long bytes)
        {
            await Problem.WriteAsync(context, StatusCodes.Status413PayloadTooLarge,
                $"the job has {bytes} bytes or more, the endpoint's limit jobs.maxInputBytes is {limit}");
            return null;
        }
    }

    private static Task RefuseAsync(HttpContext context, Endpoint endpoint, SubmitResult result) => result.Outcome switch
    {
        // Without a key that is known it may be a stranger's job.
        SubmitOutcome.Conflict => Problem.WriteAsync(context, StatusCodes.Status422UnprocessableEntity,
            $"this Idempotency-Key stands for {(context.Admission().Caller is null ? "a job" : $"job {result.Id}")}, which has another body"),
        SubmitOutcome.QueueFull => Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests,
            $"{result.Queued} jobs wait already, the endpoint's limit jobs.maxQueued is {endpoint.Jobs.MaxQueued}", AskAgain),
        _ => Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests,
            $"{result.Queued} jobs of this key wait already, which is its limit", AskAgain),
    };

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
