using System.Diagnostics;
using Microsoft.AspNetCore.Http.Features;
using Sluice.Core.Dispatch;
using Sluice.Gateway.Api;
using Sluice.Gateway.Operations;
using Yarp.ReverseProxy.Forwarder;

namespace Sluice.Gateway.Forwarding;

/// <summary>
/// Lease, forward, release. Until the first byte of an answer a worker that dies costs the client nothing: the request
/// goes to another one. Nothing is written to the response for any outcome but an answer; the caller tells the client.
/// </summary>
public sealed partial class WorkerForwarder(Dispatcher dispatcher, IHttpForwarder forwarder, WorkerClients clients,
    RunTimers timers, ByteBudget bodies, GatewayMetrics metrics, TimeProvider time, ILogger<WorkerForwarder> logger)
{
    /// <summary>Workers that could not be connected to: a gateway that died leaves all of its own. Each is granted to nobody after that.</summary>
    private const int MaxUnseen = 50;

    /// <summary>Before what was lost twice is sent a third time; doubled each time after. The workers of a gateway that dies do not all die in the same
    /// millisecond, and three attempts are soon made.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);

    public async Task<ForwardResult> ForwardAsync(HttpContext context, ForwardState state)
    {
        var policy = state.Endpoint.Forwarding;
        if (LimitBody(context, policy.MaxBodyBytes) is { } tooLarge) return tooLarge;

        var run = timers.Rent();
        var body = KeepBody(context, policy.ReplayBytes);
        try
        {
            var (unseen, uncounted, isolated) = (0, 0, false);
            for (var attempt = 1; ; attempt++)
            {
                var refused = await TrySendAsync(context, state, attempt > 1, isolated, run);
                if (refused is not { Outcome: ForwardOutcome.WorkerLost } lost) return Count(context, state, refused);
                if (lost.Unseen && unseen < MaxUnseen) unseen++;
                else if (lost.WorkerBroke && !isolated && policy.MaxAttempts > 1 && state.Worker!.Concurrency > 1)
                {
                    // Other work may have killed the worker. From now on the request runs alone, and every loss counts: one at most does not.
                    if (!lost.WasAlone) uncounted++;
                    isolated = true;
                }

                var seen = attempt - unseen - uncounted;
                if (seen >= policy.MaxAttempts || body is { CanReplay: false }) return Count(context, state, lost);
                SendingAgain(context.TraceIdentifier, state.Endpoint.Id, state.Worker!.PodId, attempt);
                metrics.Retried(state.Endpoint.Id);
                if (seen > 1 && !lost.Unseen) await Task.Delay(Pause * (1 << Math.Min(seen - 2, 3)), time, context.RequestAborted);
                context.Response.Clear();
                body?.Rewind();
            }
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            return Count(context, state, new ForwardResult(ForwardOutcome.ClientGone));
        }
        finally
        {
            timers.Return(run);
            if (body is not null) await body.FinishAsync();
        }
    }

    private async Task<ForwardResult> TrySendAsync(HttpContext context, ForwardState state, bool again, bool isolated,
        CancellationTokenSource run)
    {
        var asked = Stopwatch.GetTimestamp();
        var queue = state.Endpoint.Queue;
        var got = await dispatcher.AcquireAsync(state.Endpoint.Id,
            new SlotWish(state.Flow, queue.Timeout, queue.MaxDepth, Front: again, Weight: state.Weight, Isolated: isolated), context.RequestAborted);
        if (got.Slot is not { } slot) return Refused(got, state.Anonymous);

        if (state.Attempts == 0) run.CancelAfter(state.Endpoint.Forwarding.ExecutionTimeout);
        state.Give(slot.Worker, got.Waited ? Stopwatch.GetElapsedTime(asked) : TimeSpan.Zero);
        var config = new ForwarderRequestConfig
        {
            ActivityTimeout = state.Endpoint.Forwarding.ActivityTimeout,
            Version = WorkerClients.VersionOf(slot.Worker.Protocol),
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        var error = await forwarder.SendAsync(context, slot.Worker.Prefix,
            clients.For(slot.Worker.Protocol), config, new WorkerTransformer(state), run.Token);
        var result = Judge(context, state, error, run);
        if (result.WorkerBroke)
            result = result with { WasAlone = slot.Broken() };
        else
            slot.Dispose();
        return result;
    }

    /// <summary>Reads from YARP's error what the client gets, and whether the worker must be probed before its next request.</summary>
    private ForwardResult Judge(HttpContext context, ForwardState state, ForwarderError error, CancellationTokenSource run)
    {
        if (state.Fault is { } fault) return new ForwardResult(ForwardOutcome.WorkerAnswerInvalid, fault);
        if (error == ForwarderError.None) return new ForwardResult(ForwardOutcome.Answered);

        var cause = context.Features.Get<IForwarderErrorFeature>()?.Exception;
        var pod = state.Worker!.PodId;
        if (context.RequestAborted.IsCancellationRequested) return new ForwardResult(ForwardOutcome.ClientGone) { WorkerBroke = BrokeOff(error, cause) };
        if (context.Response.HasStarted)
        {
            AnswerCut(context.TraceIdentifier, state.Endpoint.Id, pod, error);
            context.Abort();
            return new ForwardResult(ForwardOutcome.CutShort) { WorkerBroke = BrokeOff(error, cause) };
        }

        if (run.IsCancellationRequested || IsTimeout(error) || ExchangeFailures.IsCancellation(cause)) return TimedOut(state, run) with { WorkerBroke = true };
        if (BadRequest(cause) is { } bad) return bad;
        if (error == ForwarderError.RequestBodyClient)
            return new ForwardResult(ForwardOutcome.BodyBroken, $"the request body broke off: {ExchangeFailures.Reason(cause)}");
        if (error == ForwarderError.RequestCreation) return NotForwardable(cause);
        return AnswerBegan(error) ? Unusable(context, state, error, cause) : Failed(context, state, error, cause);
    }

    /// <summary>The exchange failed before the answer's headers were read.</summary>
    private ForwardResult Failed(HttpContext context, ForwardState state, ForwarderError error, Exception? cause)
    {
        var failure = ExchangeFailures.Of(cause);
        if (failure == ExchangeFailure.NotSent) return NotForwardable(cause);
        if (failure is ExchangeFailure.AnswerInvalid or ExchangeFailure.ConnectionInvalid) return Unusable(context, state, error, cause);
        AttemptLost(context.TraceIdentifier, state.Endpoint.Id, state.Worker!.PodId, error, ExchangeFailures.Reason(cause));
        return new ForwardResult(ForwardOutcome.WorkerLost,
            $"worker {state.Worker.PodId} was lost before it answered ({error}), after {state.Attempts} attempt(s)", Unseen: failure == ExchangeFailure.NotConnected)
        { WorkerBroke = true };
    }

    /// <summary>The worker answered, so that the request is not sent again: it was executed.</summary>
    private ForwardResult Unusable(HttpContext context, ForwardState state, ForwarderError error, Exception? cause)
    {
        var (pod, reason) = (state.Worker!.PodId, ExchangeFailures.Reason(cause));
        AnswerInvalid(context.TraceIdentifier, state.Endpoint.Id, pod, error, reason);
        return new ForwardResult(ForwardOutcome.WorkerAnswerInvalid, BrokeOff(error, cause)
            ? $"the answer of worker {pod} broke off after its headers, before its body: {reason}"
            : $"the answer of worker {pod} cannot be passed on: {reason}") { WorkerBroke = BrokeOff(error, cause) };
    }

    private static ForwardResult NotForwardable(Exception? cause) =>
        new(ForwardOutcome.NotForwardable, $"the request cannot be forwarded: {ExchangeFailures.Reason(cause)}");

    /// <summary>A silence that was too long ends SendAsync, or the copy of the answer.</summary>
    private static bool IsTimeout(ForwarderError error) =>
        error is ForwarderError.RequestTimedOut or ForwarderError.ResponseBodyCanceled or ForwarderError.UpgradeActivityTimeout;

    /// <summary>Errors that come after the answer's headers were read. ResponseHeaders: the server refused one of them.</summary>
    private static bool AnswerBegan(ForwarderError error) => error is ForwarderError.ResponseHeaders
        or ForwarderError.ResponseBodyClient or ForwarderError.ResponseBodyDestination
        or ForwarderError.UpgradeRequestClient or ForwarderError.UpgradeRequestDestination
        or ForwarderError.UpgradeResponseClient or ForwarderError.UpgradeResponseDestination;

    /// <summary>The worker, not the client, ended the exchange after its answer had begun.</summary>
    private static bool BrokeOff(ForwarderError error, Exception? cause) => error is ForwarderError.ResponseBodyDestination
        or ForwarderError.UpgradeResponseDestination or ForwarderError.UpgradeRequestDestination
        && ExchangeFailures.Of(cause) == ExchangeFailure.Lost;

    private static ForwardResult TimedOut(ForwardState state, CancellationTokenSource run)
    {
        var policy = state.Endpoint.Forwarding;
        return new ForwardResult(ForwardOutcome.WorkerTimeout, run.IsCancellationRequested
            ? $"the request ran longer than executionTimeout {policy.ExecutionTimeout.TotalSeconds:0.#} s"
            : $"the worker was silent for longer than activityTimeout {policy.ActivityTimeout.TotalSeconds:0.#} s");
    }

    private static ForwardResult? BadRequest(Exception? cause)
    {
        for (var e = cause; e is not null; e = e.InnerException)
            if (e is BadHttpRequestException bad)
                return bad.StatusCode == StatusCodes.Status413PayloadTooLarge
                    ? new ForwardResult(ForwardOutcome.BodyTooLarge, bad.Message)
                    : new ForwardResult(ForwardOutcome.BodyBroken, bad.Message);
        return null;
    }

    private static ForwardResult Refused(AcquireResult got, bool anonymous) => new(got.Refusal switch
    {
        AcquireRefusal.QueueFull => ForwardOutcome.QueueFull,
        AcquireRefusal.QueueTimeout => ForwardOutcome.QueueTimeout,
        AcquireRefusal.CannotStart => ForwardOutcome.CannotStart,
        AcquireRefusal.StoreUnreachable => ForwardOutcome.StoreUnreachable,
        _ => throw new InvalidOperationException($"no slot and no refusal ({got.Refusal})"),
    }, anonymous ? got.PublicDetail ?? got.Detail : got.Detail, got.RetryAfter);

    private static ForwardResult? LimitBody(HttpContext context, long limit)
    {
        if (context.Request.ContentLength > limit)
        {
            EarlyRefusal.LetSend(context);
            return new ForwardResult(ForwardOutcome.BodyTooLarge,
                $"the request body has {context.Request.ContentLength} bytes, the endpoint's limit maxBodyBytes is {limit}");
        }

        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } feature)
            feature.MaxRequestBodySize = limit;
        return null;
    }

    private ReplayBody? KeepBody(HttpContext context, int limit)
    {
        if (context.Features.Get<IHttpRequestBodyDetectionFeature>() is not { CanHaveBody: true }) return null;
        if (context.Request.ContentLength == 0) return null;
        var body = new ReplayBody(context.Request.BodyReader, limit, bodies);
        context.Request.Body = body;
        return body;
    }

    private ForwardResult Count(HttpContext context, ForwardState state, ForwardResult result)
    {
        metrics.Forwarded(state, result.Outcome, result.Outcome switch
        {
            ForwardOutcome.ClientGone => null,
            ForwardOutcome.Answered or ForwardOutcome.CutShort => context.Response.StatusCode,
            _ => Problem.StatusOf(result.Outcome),
        });
        return result;
    }

    [LoggerMessage(LogLevel.Warning, "Request {Request} to {Endpoint}: worker {Worker} lost on attempt {Attempt}, sending it again")]
    private partial void SendingAgain(string request, string endpoint, string worker, int attempt);

    [LoggerMessage(LogLevel.Warning, "Request {Request} to {Endpoint}: worker {Worker} did not answer: {Error} {Reason}")]
    private partial void AttemptLost(string request, string endpoint, string worker, ForwarderError error, string reason);

    [LoggerMessage(LogLevel.Warning, "Request {Request} to {Endpoint}: the answer of worker {Worker} cannot be passed on: {Error} {Reason}")]
    private partial void AnswerInvalid(string request, string endpoint, string worker, ForwarderError error, string reason);

    [LoggerMessage(LogLevel.Warning, "Request {Request} to {Endpoint}: the answer of worker {Worker} broke off ({Error})")]
    private partial void AnswerCut(string request, string endpoint, string worker, ForwarderError error);
}
