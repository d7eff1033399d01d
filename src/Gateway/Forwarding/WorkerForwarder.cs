using System.Diagnostics;
using Microsoft.AspNetCore.Http.Features;
using Sluice.Dispatch;
using Sluice.Domain.Declarations;
using Sluice.Gateway.Http;
using Sluice.Gateway.Observability;
using Sluice.Gateway.Tracing;
using Yarp.ReverseProxy.Forwarder;

namespace Sluice.Gateway.Forwarding;

/// <summary>
/// Leases a slot, forwards a request to its worker and releases the slot. If a worker is lost before the first byte of
/// its response, the request is sent to another worker; if it is lost in a stream of generated text, another worker
/// continues the stream. The forwarder writes to the response only if a worker
/// responded; for all other outcomes the caller writes the error.
/// </summary>
public sealed partial class WorkerForwarder(Dispatcher dispatcher, IHttpForwarder forwarder, WorkerClients clients,
    PooledTimers timers, ByteBudget bodies, PrefixPlacement placement, GatewayMetrics metrics, TimeProvider time,
    ILogger<WorkerForwarder> logger)
{
    /// <summary>
    /// Whether dispatch needs the tokens of a text for this endpoint: its workers report how many tokens they can hold,
    /// or they will.
    /// </summary>
    public bool LimitsTokens(Deployment deployment) =>
        deployment.Template is { IsBuiltIn: true } or { CacheTokens: > 0 }
        || dispatcher.HasTokenLimits(deployment.Endpoint.Id);

    /// <summary>Forwards a request, with retries as the endpoint's policy allows.</summary>
    public async Task<ForwardResult> ForwardAsync(HttpContext context, ForwardState state)
    {
        var policy = state.Endpoint.Forwarding;
        if (LimitBody(context, policy.MaxBodyBytes) is { } tooLarge) return tooLarge;

        metrics.Arrived(state.Endpoint.Id);
        state.Trace = RequestTrace.Find(context);
        var run = timers.Rent();
        var body = KeepBody(context, policy);
        try
        {
            var budget = new RetryBudget(policy.MaxAttempts, state.IsRepeatable);
            while (true)
            {
                var parts = state.Stream?.Parts ?? 0;
                var result = await TrySendAsync(context, state, body, budget.IsIsolated, run);
                if (result is not { Outcome: ForwardOutcome.WorkerLost } lost)
                    return Count(context, state, await EndAsync(context, state, result));
                var hasStarted = context.Response.HasStarted;
                var hasProgress = hasStarted && state.Stream?.Parts > parts;
                if (budget.OnLost(lost, state.Worker!.Concurrency, hasProgress) is not { } delay
                    || body is { CanReplay: false } || (hasStarted && state.Stream is { CanResume: false }))
                    return Count(context, state, await EndAsync(context, state, lost));
                RequestRetried(context.TraceIdentifier, state.Endpoint.Id, state.Worker.PodId, state.Attempts);
                metrics.Retried(state.Endpoint.Id);
                if (delay > TimeSpan.Zero) await Task.Delay(delay, time, context.RequestAborted);
                if (!hasStarted) Restart(context, state, body);
            }
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            return Count(context, state, new ForwardResult(ForwardOutcome.ClientGone));
        }
        finally
        {
            timers.Return(run);
            state.BytesIn = context.Request.ContentLength ?? body?.Total ?? 0;
            state.Stream?.Dispose();
            if (body is not null) await body.FinishAsync();
        }
    }

    /// <summary>Prepares a request of whose response the client has nothing for another worker.</summary>
    private static void Restart(HttpContext context, ForwardState state, ReplayBody? body)
    {
        context.Response.Clear();
        state.Stream?.Dispose();
        state.Stream = null;
        body?.Rewind();
    }

    /// <summary>
    /// Ends a stream that no worker continues with an error event. If no worker has begun the stream, the caller does.
    /// </summary>
    private async Task<ForwardResult> EndAsync(HttpContext context, ForwardState state, ForwardResult result)
    {
        // An exchange of YARP that failed has aborted the response already.
        if (state.Stream is not { HasEnded: false } || !context.Response.HasStarted
            || result.Outcome.GetStatus() is not { } status)
            return result;
        StreamNotContinued(context.TraceIdentifier, state.Endpoint.Id, result.Outcome, result.Detail);
        await StreamContinuation.SendErrorAsync(context, status, result.Detail);
        return new ForwardResult(ForwardOutcome.CutShort);
    }

    private async Task<ForwardResult> TrySendAsync(
        HttpContext context,
        ForwardState state,
        ReplayBody? body,
        bool isolated,
        CancellationTokenSource run)
    {
        var requestedAt = Stopwatch.GetTimestamp();
        var queue = state.Endpoint.Queue;
        var preferred = placement.Find(state, body);
        var acquiring = dispatcher.AcquireAsync(
            state.Endpoint.Id,
            new SlotRequest(
                state.Flow,
                queue.Timeout,
                queue.MaxDepth,
                Front: state.Attempts > 0,
                Weight: state.Weight,
                Isolated: isolated,
                Preferred: preferred,
                Tokens: state.MayUse),
            context.RequestAborted);
        var acquired = acquiring.IsCompleted
            ? await acquiring
            : await new WaitingStream(context, state, body, time).WaitAsync(acquiring.AsTask());
        if (acquired.Slot is not { } slot)
        {
            var refused = RefusalResult(acquired, state.Anonymous);
            state.Trace?.AddWait(requestedAt, null, refused.Outcome.GetLabel());
            return refused;
        }

        if (state.Attempts == 0) run.CancelAfter(state.Endpoint.Forwarding.ExecutionTimeout);
        state.Assign(slot.Worker, acquired.Waited ? Stopwatch.GetElapsedTime(requestedAt) : TimeSpan.Zero);
        if (acquired.Waited) state.Trace?.AddWait(requestedAt, slot.Worker, null);
        ForwardSpans.Start(state);
        placement.Record(state, preferred);
        slot.CountTokens(() => state.MayUse);
        var result = context.Response.HasStarted
            ? await ContinueAsync(context, state, body, run)
            : await SendAsync(context, state, run);
        ForwardSpans.End(state, context, result);
        state.CountBusy(slot.IsIsolated ? 0 : 1);
        if (result.WorkerBroke)
            result = result with { WasAlone = slot.MarkWorkerUnreachable() };
        else
            slot.Dispose();
        return result;
    }

    private async Task<ForwardResult> SendAsync(HttpContext context, ForwardState state, CancellationTokenSource run)
    {
        var worker = state.Worker!;
        var config = new ForwarderRequestConfig
        {
            ActivityTimeout = state.Endpoint.Forwarding.ActivityTimeout,
            Version = WorkerClients.VersionOf(worker.Protocol),
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        var error = await forwarder.SendAsync(context, worker.Prefix,
            clients.For(worker.Protocol), config, new WorkerTransformer(state), run.Token);
        return ClassifyResult(context, state, error, run);
    }

    private async Task<ForwardResult> ContinueAsync(
        HttpContext context, ForwardState state, ReplayBody? body, CancellationTokenSource run)
    {
        var isBegun = state.Stream is not null;
        var continuation = new StreamContinuation(context, state, body?.Kept ?? default);
        var result = await continuation.SendAsync(clients.For(state.Worker!.Protocol), run);
        if (result.Outcome != ForwardOutcome.WorkerLost)
        {
            if (result.Outcome != ForwardOutcome.Answered || !isBegun) return result;
            StreamContinued(context.TraceIdentifier, state.Endpoint.Id, state.Worker.PodId, state.Attempts);
            metrics.Continued(state.Endpoint.Id);
            return result;
        }

        WorkerLostInStream(context.TraceIdentifier, state.Endpoint.Id, state.Worker.PodId, state.Stream?.Parts ?? 0,
            result.Detail);
        return result;
    }

    /// <summary>
    /// Classifies YARP's error: the result for the client, and whether the worker must be probed before its next
    /// request.
    /// </summary>
    private ForwardResult ClassifyResult(
        HttpContext context,
        ForwardState state,
        ForwarderError error,
        CancellationTokenSource run)
    {
        var pod = state.Worker!.PodId;
        if (state.Fault is { } fault)
        {
            WorkerResponseInvalid(context.TraceIdentifier, state.Endpoint.Id, pod, error, fault);
            return new ForwardResult(ForwardOutcome.WorkerAnswerInvalid, fault);
        }

        if (error == ForwarderError.None)
            return state.Stream?.Failure is { } failure
                ? StreamLostResult(context, state, failure)
                : new ForwardResult(ForwardOutcome.Answered);

        var cause = context.Features.Get<IForwarderErrorFeature>()?.Exception;
        if (context.RequestAborted.IsCancellationRequested)
            return new ForwardResult(ForwardOutcome.ClientGone) { WorkerBroke = IsWorkerAbort(error, cause) };
        if (context.Response.HasStarted)
        {
            WorkerResponseTruncated(context.TraceIdentifier, state.Endpoint.Id, pod, error);
            context.Abort();
            return new ForwardResult(ForwardOutcome.CutShort) { WorkerBroke = IsWorkerAbort(error, cause) };
        }

        if (run.IsCancellationRequested || IsTimeout(error) || ExchangeFailures.IsCancellation(cause))
            return TimeoutResult(state, run) with { WorkerBroke = true };
        if (BadRequestResult(cause) is { } bad) return bad;
        if (error == ForwarderError.RequestBodyClient)
            return new ForwardResult(
                ForwardOutcome.BodyBroken,
                $"The request body is incomplete: {ExchangeFailures.Reason(cause)}");
        if (error == ForwarderError.RequestCreation) return NotForwardable(cause);
        return HasResponseStarted(error)
            ? InvalidAnswerResult(context, state, error, cause)
            : FailureResult(context, state, error, cause);
    }

    /// <summary>Returns the result of a stream that another worker can continue.</summary>
    private ForwardResult StreamLostResult(HttpContext context, ForwardState state, Exception failure)
    {
        WorkerLostInStream(context.TraceIdentifier, state.Endpoint.Id, state.Worker!.PodId, state.Stream!.Parts,
            ExchangeFailures.Reason(failure));
        return context.RequestAborted.IsCancellationRequested
            ? new ForwardResult(ForwardOutcome.ClientGone) { WorkerBroke = true }
            : new ForwardResult(
                ForwardOutcome.WorkerLost,
                $"The connection to {NameOf(state)} failed in its stream, in attempt {state.Attempts}.")
            {
                WorkerBroke = true,
            };
    }

    /// <summary>Returns the result of an exchange that failed before the response headers were read.</summary>
    private ForwardResult FailureResult(HttpContext context, ForwardState state, ForwarderError error, Exception? cause)
    {
        var failure = ExchangeFailures.Classify(cause);
        if (failure == ExchangeFailure.NotSent) return NotForwardable(cause);
        if (failure is ExchangeFailure.AnswerInvalid or ExchangeFailure.ConnectionInvalid)
            return InvalidAnswerResult(context, state, error, cause);
        var pod = state.Worker!.PodId;
        WorkerLost(context.TraceIdentifier, state.Endpoint.Id, pod, error, ExchangeFailures.Reason(cause));
        return new ForwardResult(
            ForwardOutcome.WorkerLost,
            $"The connection to {NameOf(state)} failed before its response, in attempt {state.Attempts}.",
            Unseen: failure == ExchangeFailure.NotConnected) { WorkerBroke = true };
    }

    /// <summary>
    /// Returns the result for an invalid response. The request is not retried, because it was executed. Text can be
    /// generated again.
    /// </summary>
    private ForwardResult InvalidAnswerResult(
        HttpContext context,
        ForwardState state,
        ForwarderError error,
        Exception? cause)
    {
        var (pod, reason) = (state.Worker!.PodId, ExchangeFailures.Reason(cause));
        var isAborted = IsWorkerAbort(error, cause);
        if (isAborted && state.IsRepeatable)
        {
            WorkerLost(context.TraceIdentifier, state.Endpoint.Id, pod, error, reason);
            return new ForwardResult(
                ForwardOutcome.WorkerLost,
                $"The connection to {NameOf(state)} failed in its response, in attempt {state.Attempts}.")
            {
                WorkerBroke = true,
            };
        }

        WorkerResponseInvalid(context.TraceIdentifier, state.Endpoint.Id, pod, error, reason);
        var detail = isAborted
            ? $"The response of {NameOf(state)} ended after its headers, before its body: {reason}"
            : $"The response of {NameOf(state)} cannot be forwarded: {reason}";
        return new ForwardResult(ForwardOutcome.WorkerAnswerInvalid, detail) { WorkerBroke = isAborted };
    }

    /// <summary>Returns the worker as the client may see it: only callers with a key see its name in texts.</summary>
    internal static string NameOf(ForwardState state) =>
        state.Anonymous ? "the worker" : $"worker {state.Worker!.PodId}";

    private static ForwardResult NotForwardable(Exception? cause) =>
        new(ForwardOutcome.NotForwardable, $"The request cannot be forwarded: {ExchangeFailures.Reason(cause)}");

    /// <summary>
    /// Returns whether the worker was silent for too long, which ends <c>SendAsync</c> or the copy of the response.
    /// </summary>
    private static bool IsTimeout(ForwarderError error) =>
        error is ForwarderError.RequestTimedOut
            or ForwarderError.ResponseBodyCanceled
            or ForwarderError.UpgradeActivityTimeout;

    /// <summary>
    /// Returns whether the error occurred after the response headers were read. <c>ResponseHeaders</c> means that the
    /// server rejected one of them.
    /// </summary>
    private static bool HasResponseStarted(ForwarderError error) => error is ForwarderError.ResponseHeaders
        or ForwarderError.ResponseBodyClient or ForwarderError.ResponseBodyDestination
        or ForwarderError.UpgradeRequestClient or ForwarderError.UpgradeRequestDestination
        or ForwarderError.UpgradeResponseClient or ForwarderError.UpgradeResponseDestination;

    /// <summary>Returns whether the worker, not the client, aborted the exchange after its response began.</summary>
    private static bool IsWorkerAbort(ForwarderError error, Exception? cause) =>
        error is ForwarderError.ResponseBodyDestination
        or ForwarderError.UpgradeResponseDestination or ForwarderError.UpgradeRequestDestination
        && ExchangeFailures.Classify(cause) == ExchangeFailure.Lost;

    internal static ForwardResult TimeoutResult(ForwardState state, CancellationTokenSource run)
    {
        var policy = state.Endpoint.Forwarding;
        return new ForwardResult(ForwardOutcome.WorkerTimeout, run.IsCancellationRequested
            ? $"The request ran longer than {policy.ExecutionTimeout.TotalSeconds:0.#} s "
                + "(forwarding.executionTimeout of the endpoint)."
            : $"The worker sent nothing for {policy.ActivityTimeout.TotalSeconds:0.#} s "
                + "(forwarding.activityTimeout of the endpoint).");
    }

    private static ForwardResult? BadRequestResult(Exception? cause)
    {
        for (var e = cause; e is not null; e = e.InnerException)
            if (e is BadHttpRequestException bad)
                return bad.StatusCode == StatusCodes.Status413PayloadTooLarge
                    ? new ForwardResult(ForwardOutcome.BodyTooLarge, bad.Message)
                    : new ForwardResult(ForwardOutcome.BodyBroken, bad.Message);
        return null;
    }

    private static ForwardResult RefusalResult(AcquireResult acquired, bool anonymous) => new(acquired.Refusal switch
    {
        AcquireRefusal.QueueFull => ForwardOutcome.QueueFull,
        AcquireRefusal.QueueTimeout => ForwardOutcome.QueueTimeout,
        AcquireRefusal.CannotStart => ForwardOutcome.CannotStart,
        AcquireRefusal.StoreUnreachable => ForwardOutcome.StoreUnreachable,
        _ => throw new InvalidOperationException(
            $"the refusal is '{acquired.Refusal}'; expected a reason, because no slot was acquired"),
    }, anonymous ? acquired.PublicDetail ?? acquired.Detail : acquired.Detail, acquired.RetryAfter);

    private static ForwardResult? LimitBody(HttpContext context, long limit)
    {
        if (context.Request.ContentLength > limit)
        {
            RequestBodyDrain.LetSend(context);
            return new ForwardResult(ForwardOutcome.BodyTooLarge,
                $"The request body has {context.Request.ContentLength} bytes; "
                + $"expected at most {limit} (forwarding.maxBodyBytes of the endpoint).");
        }

        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } feature)
            feature.MaxRequestBodySize = limit;
        return null;
    }

    private ReplayBody? KeepBody(HttpContext context, ForwardPolicy policy)
    {
        if (context.Features.Get<IHttpRequestBodyDetectionFeature>() is not { CanHaveBody: true }) return null;
        if (context.Request.ContentLength == 0) return null;
        var body = new ReplayBody(context.Request.BodyReader, policy.ReplayBytes, bodies, policy.MaxBodyBytes);
        context.Request.Body = body;
        return body;
    }

    private ForwardResult Count(HttpContext context, ForwardState state, ForwardResult result)
    {
        var status = result.Outcome switch
        {
            ForwardOutcome.ClientGone => null,
            ForwardOutcome.Answered or ForwardOutcome.CutShort => context.Response.StatusCode,
            _ => result.Outcome.GetStatus(),
        };
        var isError = status >= StatusCodes.Status500InternalServerError || result.Outcome == ForwardOutcome.CutShort;
        metrics.Forwarded(state.Endpoint.Id, result.Outcome.GetLabel(), status, state.Times(), isError);
        state.Trace?.SetOutcome(state.Endpoint.Id, result.Outcome.GetLabel(), isError);
        return result;
    }

    [LoggerMessage(LogLevel.Warning,
        "Request {Request} to {Endpoint} is retried: attempt {Attempt} lost worker {Worker}")]
    private partial void RequestRetried(string request, string endpoint, string worker, int attempt);

    [LoggerMessage(LogLevel.Warning,
        "Request {Request} to {Endpoint} lost worker {Worker} before its response: {Error} {Reason}")]
    private partial void WorkerLost(
        string request,
        string endpoint,
        string worker,
        ForwarderError error,
        string reason);

    [LoggerMessage(LogLevel.Warning,
        "Request {Request} to {Endpoint} got an invalid response from worker {Worker}: {Error} {Reason}")]
    private partial void WorkerResponseInvalid(
        string request,
        string endpoint,
        string worker,
        ForwarderError error,
        string reason);

    [LoggerMessage(LogLevel.Warning,
        "Request {Request} to {Endpoint} got an incomplete response from worker {Worker} ({Error})")]
    private partial void WorkerResponseTruncated(string request, string endpoint, string worker, ForwarderError error);

    [LoggerMessage(LogLevel.Warning,
        "Request {Request} to {Endpoint} lost worker {Worker} in its stream, after {Parts} parts: {Reason}")]
    private partial void WorkerLostInStream(string request, string endpoint, string worker, int parts, string reason);

    [LoggerMessage(LogLevel.Information,
        "Stream of request {Request} to {Endpoint} was completed by worker {Worker}, in attempt {Attempt}")]
    private partial void StreamContinued(string request, string endpoint, string worker, int attempt);

    [LoggerMessage(LogLevel.Warning,
        "Stream of request {Request} to {Endpoint} ended with an error event: {Outcome} {Detail}")]
    private partial void StreamNotContinued(string request, string endpoint, ForwardOutcome outcome, string detail);
}
