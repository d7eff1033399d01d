using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Sluice.Dispatch;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Jobs;
using Sluice.Gateway.Forwarding;
using Sluice.Gateway.Http;
using Sluice.Gateway.Limits;
using Sluice.Gateway.Tokens;
using Sluice.Gateway.Tracing;
using Sluice.Gateway.Usage;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;

namespace Sluice.Gateway.Jobs;

/// <summary>
/// Runs one attempt of a job: posts the input to the handler of a worker and reads the response. A handler responds
/// with JSON, <c>{"output": ...}</c> or <c>{"error": ...}</c> (any other JSON is the output), or with server-sent
/// events. Each event is a chunk of the job's stream, except <c>event: output</c> with the complete result and
/// <c>event: error</c> with a failure. A job with a path is a request to that path (<see cref="PathJob"/>).
/// </summary>
public sealed class JobAttempt(JobStore store, JobStreamWriter streams, WorkerClients clients, TokenLimits limits,
    WorkerUsage usage, UsageRecorder recorder, TimeProvider time)
{
    private const string ProviderHeader = "X-Sluice-Provider";

    /// <summary>
    /// A different value for each execution, even if Redis lost the record of an execution. Handlers can use it as a
    /// fencing token for their own writes.
    /// </summary>
    private const string FenceHeader = "X-Sluice-Fence";

    /// <summary>Maximum bytes of an error response that are copied into the error text.</summary>
    private const int MaxErrorText = 2000;

    /// <summary>
    /// How long reads of an input file are retried before the job returns to the queue. A missing share is not retried.
    /// </summary>
    private static readonly TimeSpan InputPatience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan InputPause = TimeSpan.FromSeconds(1);

    /// <summary>Runs the attempt until it ends. Errors of workers and clients are returned, not thrown.</summary>
    /// <param name="deployment">The endpoint and its template.</param>
    /// <param name="grant">The claimed job and its slot.</param>
    /// <param name="trace">The trace of the attempt; null: it has none.</param>
    /// <param name="stop">Stops the attempt.</param>
    internal async Task<AttemptOutcome> RunAsync(
        Deployment deployment, JobGrant grant, JobTrace? trace, CancellationToken stop)
    {
        var tokens = new AttemptTokens(limits, usage, recorder, store, deployment, grant);
        using var forward = trace?.StartForward(grant.Slot!.Worker.PodId);
        var end = await RunAsync(deployment, grant, tokens, forward, stop);
        if (end.Error is { } error) forward?.Fail(error.Code);
        return end with { Used = await tokens.SettleAsync(end) };
    }

    private async Task<AttemptOutcome> RunAsync(
        Deployment deployment, JobGrant grant, AttemptTokens tokens, Activity? forward, CancellationToken stop)
    {
        var worker = grant.Slot!.Worker;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var timeout = grant.Claim.Timeout;
        try
        {
            var input = await InputAsync(grant, stop);
            if (input is not { } read)
                return AttemptOutcome.Failed(JobErrors.InputLost, "The input of the job was deleted.");
            timeout = read.Timeout;
            tokens.BytesIn = read.Input.Length;
            var path = PathJob.PathOf(read.S3);
            await tokens.StartAsync(read.Input, path);
            limit.CancelAfter(timeout);
            var log = path is not null && grant.Claim.Attempt > 1
                ? await streams.ReadLogAsync(grant, limit.Token) : TextLog.Empty;
            if (EndOf(log) is { } known) return known;
            using var request = path is null ? Request(deployment.Template, worker, grant, read.Input.Span, read.S3)
                : Request(deployment.Template, worker, grant, path, read.Input, log);
            if (forward is not null) TraceText.Write(request.Headers, forward.Context);
            if (tokens.Id is { } id) request.Headers.TryAddWithoutValidation(TokenUsage.IdHeader, id);
            using var response = await clients.For(worker.Protocol).SendAsync(request, limit.Token);
            var end = await ReadAsync(deployment, grant, response, path is null ? null : log, limit.Token);
            tokens.OnAnswered(response);
            var provider = response.Headers.NonValidated.TryGetValues(ProviderHeader, out var values)
                ? values.ToString() : null;
            var start = worker.ReadyAt > grant.Claim.Queued ? worker.Start : null;
            return end with { Ran = new RunTrace(worker.ReadyAt, start, provider) };
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return new AttemptOutcome(AttemptKind.Stopped);
        }
        catch (Exception) when (limit.IsCancellationRequested)
        {
            // The worker did not finish in time, so the host must check whether it still responds.
            return Timeout($"The job ran longer than its executionTimeout of {timeout.TotalMilliseconds:0} ms.");
        }
        catch (SilentWorkerException e)
        {
            return Timeout(e.Message);
        }
        catch (PayloadException e)
        {
            // An input is lost only if its file is missing in a healthy share. Otherwise another gateway may be able to
            // read it.
            return e.Fault == PayloadFault.Lost ? AttemptOutcome.Failed(JobErrors.InputLost,
                $"The input of the job is lost: {e.Message}")
                : AttemptOutcome.Requeue(e.Message, counted: false);
        }
        catch (Exception e) when (RedisErrors.Is(e))
        {
            return AttemptOutcome.Requeue($"Redis is not reachable: {e.Message}", counted: false);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return ClassifyFailure(e);
        }
    }

    /// <summary>Returns the outcome that follows from the log of earlier attempts; null: a worker is needed.</summary>
    private static AttemptOutcome? EndOf(TextLog log)
    {
        if (log.IsEnded) return PathJob.Streamed;
        return log.CanContinue ? null : AttemptOutcome.Failed(JobErrors.StreamDiverged,
            "The worker was lost in the middle of its stream, which no other worker can continue.", true);
    }

    private static AttemptOutcome ClassifyFailure(Exception e)
    {
        // Callers without a key see these texts, so they do not name the worker; the fields of the job do.
        var (failure, reason) = (ExchangeFailures.Classify(e), ExchangeFailures.Reason(e));
        return failure switch
        {
            // The handler has run and responded: another attempt would run it again.
            ExchangeFailure.AnswerInvalid => AttemptOutcome.Failed(JobErrors.AnswerInvalid,
                $"The response of the worker cannot be read: {reason}", retryable: true),
            ExchangeFailure.NotSent => AttemptOutcome.Failed(JobErrors.Gateway,
                $"The job cannot be sent to the worker: {reason}", retryable: true),
            // The invalid response may belong to another job on the same connection. The worker process still runs.
            ExchangeFailure.ConnectionInvalid => AttemptOutcome.Requeue(
                $"The worker sent a response that broke its HTTP/2 connection: {reason}", counted: true),
            // If the connection could not be opened, the worker did not receive the job, and the attempt does not
            // count.
            _ => AttemptOutcome.Lost($"The worker was lost: {reason}",
                received: failure != ExchangeFailure.NotConnected),
        };
    }

    private static AttemptOutcome Timeout(string message) =>
        AttemptOutcome.Failed(JobStatus.TimedOut, new JobError(JobErrors.Timeout, message, true)) with
        {
            WorkerBroke = true,
        };

    private async Task<(ReadOnlyMemory<byte> Input, byte[]? S3, TimeSpan Timeout)?> InputAsync(JobGrant grant,
        CancellationToken ct)
    {
        var claim = grant.Claim;
        var since = time.GetTimestamp();
        while (true)
        {
            try
            {
                return claim.Input is null ? await store.InputAsync(grant.EndpointId, claim.Id, ct)
                    : (await store.LoadAsync(claim.Input, ct), claim.S3, claim.Timeout);
            }
            catch (PayloadException e) when (e.Fault == PayloadFault.Broken
                && time.GetElapsedTime(since) < InputPatience)
            {
                await Task.Delay(InputPause, time, ct);
            }
        }
    }

    private static HttpRequestMessage Request(Template template, WorkerAddress worker, JobGrant grant,
        ReadOnlySpan<byte> input, byte[]? s3) =>
        Request(template, worker, grant, template.HandlerPath, new ByteArrayContent(Envelope(grant, input, s3)));

    /// <summary>Returns the request of a job with a path. It asks for the rest of a stream that has begun.</summary>
    private static HttpRequestMessage Request(Template template, WorkerAddress worker, JobGrant grant, string path,
        ReadOnlyMemory<byte> input, TextLog log)
    {
        var request = Request(template, worker, grant, path, new ContinuationContent(log.Marks, input));
        if (!ResumableStream.IsServedAt(path)) return request;
        request.Headers.TryAddWithoutValidation(ResumableStream.Header, log.HasText ? log.Announced : "1");
        if (log.HasText)
            request.Headers.TryAddWithoutValidation(
                ResumableStream.MarksHeader, log.Marks.Length.ToString(CultureInfo.InvariantCulture));
        return request;
    }

    private static HttpRequestMessage Request(Template template, WorkerAddress worker, JobGrant grant, string path,
        HttpContent content)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, worker.Prefix + path)
        {
            Content = content,
            Version = WorkerClients.VersionOf(worker.Protocol),
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.TryAddWithoutValidation("Accept", "application/json, text/event-stream");
        request.Headers.TryAddWithoutValidation("Authorization", worker.Authorization);
        request.Headers.TryAddWithoutValidation("X-Request-Id", grant.Claim.Id);
        request.Headers.TryAddWithoutValidation(FenceHeader, grant.Claim.Fence.ToString());
        // A claim does not name the key of its job, so a job shares no cache with any other.
        if (template.IsBuiltIn)
            request.Headers.TryAddWithoutValidation(WorkerTransformer.FlowHeader, $"job:{grant.Claim.Id}");
        return request;
    }

    private static byte[] Envelope(JobGrant grant, ReadOnlySpan<byte> input, byte[]? s3)
    {
        var head =
            Encoding.UTF8.GetBytes($$"""{"id":"{{grant.Claim.Id}}","attempt":{{grant.Claim.Attempt}},"input":""");
        var more = s3 is null ? [] : (byte[])[.. ",\"s3Config\":"u8, .. s3];
        return [.. head, .. input, .. more, (byte)'}'];
    }

    /// <param name="deployment">The endpoint and its template.</param>
    /// <param name="grant">The claimed job and its slot.</param>
    /// <param name="answer">The response of the worker.</param>
    /// <param name="log">The log of a job with a path; null: the job is for the handler.</param>
    /// <param name="ct">Stops the attempt.</param>
    private async Task<AttemptOutcome> ReadAsync(Deployment deployment, JobGrant grant, HttpResponseMessage answer,
        TextLog? log, CancellationToken ct)
    {
        var policy = deployment.Endpoint.Jobs;
        // The built-in worker responds with these statuses before it runs anything: it rejects the token, is not ready,
        // or is at capacity. The host then checks whether it is ready. For other workers, every status is a response of
        // the handler.
        if (deployment.Template.IsBuiltIn
            && answer.StatusCode is HttpStatusCode.ServiceUnavailable or HttpStatusCode.Unauthorized)
        {
            var why = $"The worker responded with status {(int)answer.StatusCode}.";
            return AttemptOutcome.Requeue(why, counted: true, workerBroke: true);
        }

        if (AnswerRules.Fault(answer, isHead: false, isUpgrade: false) is { } fault)
            return AttemptOutcome.Failed(JobErrors.AnswerInvalid, fault, retryable: true);
        if (log is { HasText: true } begun && PathJob.IsOutput(answer.StatusCode)
            && (answer.StatusCode != HttpStatusCode.OK || TextLog.AnnouncedBy(answer) != begun.Announced))
            return AttemptOutcome.Failed(JobErrors.StreamDiverged,
                $"The worker did not continue the stream: its response has status {(int)answer.StatusCode}.", true);
        var isStream = answer.IsSuccessStatusCode
            && answer.Content.Headers.ContentType?.MediaType == "text/event-stream";
        if (isStream && log is not null) return await streams.CopyTextAsync(deployment, grant, answer, log, ct);
        if (isStream)
            return ApplyRetryPolicy(await streams.CopyAsync(deployment, grant, answer, ct), policy);
        if (answer.Content.Headers.ContentLength > policy.MaxOutputBytes)
            return TooLarge(answer.Content.Headers.ContentLength.Value, policy);
        var body = await ReadBodyAsync(answer, policy.MaxOutputBytes, ct);
        if (body is null) return TooLarge(policy.MaxOutputBytes + 1, policy);
        body = Utf8Text.Repaired(body);
        // The repair can make the body longer: U+FFFD has three bytes.
        if (body.Length > policy.MaxOutputBytes) return TooLarge(body.Length, policy);
        if (log is not null && PathJob.IsOutput(answer.StatusCode)) return PathJob.Read(answer.StatusCode, body);
        return ApplyRetryPolicy(answer.IsSuccessStatusCode ? Parse(body) : AttemptOutcome.Failed(JobErrors.Handler,
            ErrorText(body, answer.StatusCode), (int)answer.StatusCode >= 500), policy);
    }

    /// <summary>
    /// Turns an error of the handler into a lost attempt if the endpoint retries errors. Otherwise the error is the
    /// result.
    /// </summary>
    private static AttemptOutcome ApplyRetryPolicy(AttemptOutcome end, JobPolicy policy) =>
        policy.RetryErrors && end is { Kind: AttemptKind.Failed, Error.Code: JobErrors.Handler }
            ? AttemptOutcome.Requeue($"The handler failed: {end.Error.Message}", counted: true) : end;

    private static AttemptOutcome TooLarge(long bytes, JobPolicy policy) =>
        AttemptOutcome.Failed(JobErrors.OutputTooLarge,
        $"The output has {bytes} bytes or more; expected at most {policy.MaxOutputBytes} bytes (jobs.maxOutputBytes of "
        + "the endpoint).");

    /// <summary>Reads the complete body. Null: it is longer than the limit.</summary>
    private static async Task<byte[]?> ReadBodyAsync(HttpResponseMessage answer, long limit, CancellationToken ct)
    {
        var declared = answer.Content.Headers.ContentLength;
        await using var stream = await answer.Content.ReadAsStreamAsync(ct);
        using var all = new MemoryStream((int)Math.Min(declared ?? 0, limit));
        // Most responses are small: a new buffer per response would cost more than the rest of its processing.
        var buffer = ArrayPool<byte>.Shared.Rent(16 << 10);
        try
        {
            while (await stream.ReadAsync(buffer, ct) is var n and > 0)
            {
                if (all.Length + n > limit) return null;
                all.Write(buffer, 0, n);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        // HTTP/2 has its own framing, and the .NET client does not compare the length with Content-Length. A response
        // with a different length is malformed (RFC 9113, 8.1.1).
        if (declared is { } length && length != all.Length)
            throw new HttpIOException(HttpRequestError.InvalidResponse,
                $"the body has {all.Length} bytes, but its Content-Length is {length}");
        return all.Capacity == all.Length ? all.GetBuffer() : all.ToArray();
    }

    private static AttemptOutcome Parse(byte[] body)
    {
        try
        {
            using var document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = 512 });
            var root = document.RootElement;
            if (root.ValueKind == JsonValueKind.Object)
            {
                if (root.TryGetProperty("error", out var error) && error.ValueKind != JsonValueKind.Null)
                    return AttemptOutcome.Failed(JobErrors.Handler,
                        error.ValueKind == JsonValueKind.String ? ReadText(error) : error.GetRawText());
                if (root.TryGetProperty("output", out var output))
                {
                    var json = JsonMarshal.GetRawUtf8Value(output).ToArray();
                    return new AttemptOutcome(AttemptKind.Completed) { Output = json };
                }
            }

            return new AttemptOutcome(AttemptKind.Completed) { Output = body };
        }
        catch (JsonException e)
        {
            return AttemptOutcome.Failed(JobErrors.AnswerInvalid, body.Length == 0
                ? "The response of the worker is empty."
                : $"The response of the worker is not valid JSON: {e.Message}");
        }
    }

    /// <summary>Returns the string value, or the raw JSON if the string contains half a surrogate pair.</summary>
    private static string ReadText(JsonElement element)
    {
        try
        {
            return element.GetString()!;
        }
        catch (InvalidOperationException)
        {
            return element.GetRawText();
        }
    }

    private static string ErrorText(byte[] body, HttpStatusCode status)
    {
        if (Parse(body) is { Kind: AttemptKind.Failed, Error: { Code: JobErrors.Handler } error }) return error.Message;
        var text = Encoding.UTF8.GetString(body.AsSpan(0, Math.Min(body.Length, MaxErrorText)));
        return text.Length > 0 ? $"The handler responded with status {(int)status}: {text}"
            : $"The handler responded with status {(int)status}.";
    }
}
