using System.Buffers;
using System.Net;
using System.Net.Http.Headers;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;
using Sluice.Core.Jobs;
using Sluice.Core.Redis;
using Sluice.Gateway.Forwarding;

namespace Sluice.Gateway.Jobs;

/// <summary>
/// One attempt of a job: posts the input to the worker's handler and reads its answer. A handler answers JSON,
/// <c>{"output": ...}</c> or <c>{"error": ...}</c> (anything else is itself the output), or server-sent events: each one a chunk of
/// the job's stream, <c>event: output</c> the whole result, <c>event: error</c> a failure.
/// </summary>
public sealed class JobAttempt(JobStore store, JobStreamWriter streams, WorkerClients clients, TimeProvider time)
{
    private const string ProviderHeader = "X-Sluice-Provider";

    /// <summary>Another value for each execution, also where Redis lost that there was one: handlers can fence their own writes by it.</summary>
    private const string FenceHeader = "X-Sluice-Fence";

    /// <summary>Of an error answer, shown to people.</summary>
    private const int MaxErrorText = 2000;

    /// <summary>How long a file that cannot be read for another reason than a missing share is tried again before the job returns to the queue.</summary>
    private static readonly TimeSpan InputPatience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan InputPause = TimeSpan.FromSeconds(1);

    /// <summary>Runs it to its end. Never throws for what a worker or a client can do.</summary>
    /// <param name="deployment">The endpoint.</param>
    /// <param name="grant">The claim, with its slot.</param>
    /// <param name="stop">The attempt is not wanted any more.</param>
    public async Task<AttemptEnd> RunAsync(Deployment deployment, JobGrant grant, CancellationToken stop)
    {
        var worker = grant.Slot!.Worker;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var timeout = grant.Claim.Timeout;
        try
        {
            var input = await InputAsync(grant, stop);
            if (input is not { } read)
                return AttemptEnd.Failed(JobErrors.InputLost, "the job's input is gone");
            timeout = read.Timeout;
            limit.CancelAfter(timeout);
            using var request = Request(deployment.Template, worker, grant, read.Input.Span, read.S3);
            using var answer = await clients.For(worker.Protocol).SendAsync(request, limit.Token);
            var end = await ReadAsync(deployment, grant, answer, limit.Token);
            var provider = answer.Headers.NonValidated.TryGetValues(ProviderHeader, out var told) ? told.ToString() : null;
            return end with { Ran = new RunTrace(worker.ReadyAt, worker.ReadyAt > grant.Claim.Queued ? worker.Start : null, provider) };
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return new AttemptEnd(AttemptKind.Stopped);
        }
        catch (Exception) when (limit.IsCancellationRequested)
        {
            // The worker did not come to an end in time: somebody has to see whether it still answers.
            return Timeout($"the job ran longer than its executionTimeout of {timeout.TotalMilliseconds:0} ms");
        }
        catch (SilentWorkerException e)
        {
            return Timeout(e.Message);
        }
        catch (PayloadException e)
        {
            // Only a file that is not in a healthy share is lost; else this gateway cannot read it now, and another one can.
            return e.Fault == PayloadFault.Lost ? AttemptEnd.Failed(JobErrors.InputLost, $"the job's input is lost: {e.Message}")
                : AttemptEnd.Again(e.Message, counted: false);
        }
        catch (Exception e) when (RedisDown.Is(e))
        {
            return AttemptEnd.Again($"Redis could not be asked: {e.Message}", counted: false);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return OfFailure(worker, e);
        }
    }

    private static AttemptEnd OfFailure(WorkerAddress worker, Exception e)
    {
        var (failure, reason) = (ExchangeFailures.Of(e), ExchangeFailures.Reason(e));
        return failure switch
        {
            // The handler ran to its answer: another attempt would run it again.
            ExchangeFailure.AnswerInvalid => AttemptEnd.Failed(JobErrors.AnswerInvalid,
                $"the answer of worker {worker.PodId} cannot be read: {reason}", retryable: true),
            ExchangeFailure.NotSent => AttemptEnd.Failed(JobErrors.Gateway, $"the job cannot be sent to worker {worker.PodId}: {reason}", retryable: true),
            // It may be the answer of another job on the same connection; the worker itself runs on.
            ExchangeFailure.ConnectionInvalid => AttemptEnd.Again(
                $"worker {worker.PodId} sent an answer that broke its HTTP/2 connection: {reason}", counted: true),
            // A worker that could not be connected to has not seen the job: that is no attempt of it.
            _ => AttemptEnd.Lost($"worker {worker.PodId} was lost: {reason}", seen: failure != ExchangeFailure.NotConnected),
        };
    }

    private static AttemptEnd Timeout(string message) =>
        AttemptEnd.Failed(JobStatus.TimedOut, new JobError(JobErrors.Timeout, message, true)) with { WorkerBroke = true };

    private async Task<(ReadOnlyMemory<byte> Input, byte[]? S3, TimeSpan Timeout)?> InputAsync(JobGrant grant, CancellationToken ct)
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
            catch (PayloadException e) when (e.Fault == PayloadFault.Broken && time.GetElapsedTime(since) < InputPatience)
            {
                await Task.Delay(InputPause, time, ct);
            }
        }
    }

    private static HttpRequestMessage Request(Template template, WorkerAddress worker, JobGrant grant, ReadOnlySpan<byte> input, byte[]? s3)
    {
        var head = Encoding.UTF8.GetBytes($$"""{"id":"{{grant.Claim.Id}}","attempt":{{grant.Claim.Attempt}},"input":""");
        var more = s3 is null ? [] : (byte[])[.. ",\"s3Config\":"u8, .. s3];
        byte[] body = [.. head, .. input, .. more, (byte)'}'];
        var request = new HttpRequestMessage(HttpMethod.Post, worker.Prefix + template.HandlerPath)
        {
            Content = new ByteArrayContent(body),
            Version = WorkerClients.VersionOf(worker.Protocol),
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.TryAddWithoutValidation("Accept", "application/json, text/event-stream");
        request.Headers.TryAddWithoutValidation("Authorization", worker.Authorization);
        request.Headers.TryAddWithoutValidation("X-Request-Id", grant.Claim.Id);
        request.Headers.TryAddWithoutValidation(FenceHeader, grant.Claim.Fence.ToString());
        return request;
    }

    private async Task<AttemptEnd> ReadAsync(Deployment deployment, JobGrant grant, HttpResponseMessage answer, CancellationToken ct)
    {
        var policy = deployment.Endpoint.Jobs;
        // The built-in worker answers so before it runs anything: it refuses our token, is not ready, or has no room. The host then checks whether it
        // is ready. Any other worker's answer is an answer, whatever its status is.
        if (deployment.Template.IsBuiltIn && answer.StatusCode is HttpStatusCode.ServiceUnavailable or HttpStatusCode.Unauthorized)
            return AttemptEnd.Again($"worker {grant.Slot!.Worker.PodId} answered {(int)answer.StatusCode}", counted: true, workerBroke: true);
        if (AnswerRules.Fault(answer, isHead: false, isUpgrade: false) is { } fault) return AttemptEnd.Failed(JobErrors.AnswerInvalid, fault, retryable: true);
        if (answer.IsSuccessStatusCode && answer.Content.Headers.ContentType?.MediaType == "text/event-stream")
            return Judge(await streams.CopyAsync(deployment, grant, answer, ct), policy);
        if (answer.Content.Headers.ContentLength > policy.MaxOutputBytes) return TooLarge(answer.Content.Headers.ContentLength.Value, policy);
        var body = await ReadBodyAsync(answer, policy.MaxOutputBytes, ct);
        if (body is null) return TooLarge(policy.MaxOutputBytes + 1, policy);
        body = Utf8Text.Repaired(body);
        // U+FFFD has three bytes.
        if (body.Length > policy.MaxOutputBytes) return TooLarge(body.Length, policy);
        return Judge(answer.IsSuccessStatusCode ? Parse(body) : AttemptEnd.Failed(JobErrors.Handler,
            ErrorText(body, answer.StatusCode), (int)answer.StatusCode >= 500), policy);
    }

    /// <summary>A handler's error is an answer, unless the endpoint says that it is to be tried again.</summary>
    private static AttemptEnd Judge(AttemptEnd end, JobPolicy policy) =>
        policy.RetryErrors && end is { Kind: AttemptKind.Failed, Error.Code: JobErrors.Handler }
            ? AttemptEnd.Again($"the handler failed: {end.Error.Message}", counted: true) : end;

    private static AttemptEnd TooLarge(long bytes, JobPolicy policy) => AttemptEnd.Failed(JobErrors.OutputTooLarge,
        $"the output has {bytes} bytes or more, the endpoint's limit jobs.maxOutputBytes is {policy.MaxOutputBytes}");

    /// <summary>All of it; null: it is longer than the limit.</summary>
    private static async Task<byte[]?> ReadBodyAsync(HttpResponseMessage answer, long limit, CancellationToken ct)
    {
        var declared = answer.Content.Headers.ContentLength;
        await using var stream = await answer.Content.ReadAsStreamAsync(ct);
        using var all = new MemoryStream((int)Math.Min(declared ?? 0, limit));
        // Most answers are small: a buffer of their own each would cost more than all the rest of them.
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

        // HTTP/2 frames the body by itself, and .NET's client does not compare (RFC 9113, 8.1.1: such an answer is malformed).
        if (declared is { } length && length != all.Length)
            throw new HttpIOException(HttpRequestError.InvalidResponse, $"it has {all.Length} bytes, its Content-Length is {length}");
        return all.Capacity == all.Length ? all.GetBuffer() : all.ToArray();
    }

    private static AttemptEnd Parse(byte[] body)
    {
        try
        {
            using var document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = 512 });
            var root = document.RootElement;
            if (root.ValueKind == JsonValueKind.Object)
            {
                if (root.TryGetProperty("error", out var error) && error.ValueKind != JsonValueKind.Null)
                    return AttemptEnd.Failed(JobErrors.Handler, error.ValueKind == JsonValueKind.String ? Text(error) : error.GetRawText());
                if (root.TryGetProperty("output", out var output))
                    return new AttemptEnd(AttemptKind.Completed) { Output = JsonMarshal.GetRawUtf8Value(output).ToArray() };
            }

            return new AttemptEnd(AttemptKind.Completed) { Output = body };
        }
        catch (JsonException e)
        {
            return AttemptEnd.Failed(JobErrors.AnswerInvalid, body.Length == 0 ? "the worker's answer is empty"
                : $"the worker's answer is not JSON: {e.Message}");
        }
    }

    /// <summary>Half a surrogate pair is no text: then the JSON itself is shown.</summary>
    private static string Text(JsonElement element)
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
        if (Parse(body) is { Kind: AttemptKind.Failed, Error: { Code: JobErrors.Handler } told }) return told.Message;
        var text = Encoding.UTF8.GetString(body.AsSpan(0, Math.Min(body.Length, MaxErrorText)));
        return text.Length > 0 ? $"the handler answered {(int)status}: {text}" : $"the handler answered {(int)status}";
    }
}
