using Sluice.Domain.Declarations;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Forwarding;
using Sluice.Gateway.Http;
using Sluice.Gateway.Limits;
using Sluice.Gateway.Tokens;
using Sluice.Gateway.Usage;
using Sluice.Gateway.UserPods;
using Sluice.Storage.Fleet;
using Sluice.Storage.Redis;

namespace Sluice.Gateway.Relay;

/// <summary>
/// Forwards requests to workers, and writes an error response if a request has no response of a worker. All forwarding
/// APIs use it.
/// </summary>
public sealed partial class EndpointRelay(WorkerForwarder forwarder, TokenLimits tokens, TokenCosts costs,
    WorkerUsage usage, UsageRecorder recorder, BudgetGuard budgets, GpuStore gpus, PodStore pods,
    UserPodRouting routing, TimeProvider time,
    ILogger<EndpointRelay> logger)
{
    /// <summary>Forwards a request.</summary>
    /// <param name="context">An admitted request whose route names an endpoint.</param>
    /// <param name="skip">
    /// Number of leading path segments that are not part of the worker's API. They are forwarded only if the template
    /// keeps the prefix.
    /// </param>
    public async Task SendAsync(HttpContext context, int skip)
    {
        if (RequestTarget.Read(context, skip, out var path) is { } why)
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest, why);
            return;
        }

        var admission = context.Admission();
        var template = admission.Deployment!.Template;
        var target = path;
        if (skip > 0 && template.KeepPrefix) RequestTarget.Read(context, skip: 0, out target);
        if (SocketTicketUrl.IsHandshake(context)) target = SocketTicketUrl.Remove(target);
        var repeatable = IsGeneration(context.Request.Method, path);
        if (TextRoutes.AssumedTokens(context.Request.Method, path, template.IsBuiltIn) is not { } assumed)
        {
            if (await budgets.ReserveAsync(context, admission, 0) is not { } reserved) return;
            var other = CreateState(admission, target, repeatable, null);
            var ended = await ForwardAsync(context, other);
            await RecordAsync(context, other, ended, reserved, default, 0);
            return;
        }

        // Embeddings use no key/value cache.
        var counts = assumed > 0 && forwarder.LimitsTokens(admission.Deployment);
        if (await tokens.ReserveAsync(context, admission, assumed, counts) is not { } hold) return;
        if (await budgets.ReserveAsync(context, admission, hold.Estimated.Total) is not { } budget)
        {
            await tokens.SettleAsync(hold, context.TraceIdentifier, default);
            return;
        }

        var demand = counts ? hold.Estimated : default;
        var state = CreateState(admission, target, repeatable, demand);
        var outcome = ForwardOutcome.WorkerAnswerInvalid;
        try
        {
            outcome = await ForwardAsync(context, state);
        }
        finally
        {
            var evidence = await ForwardedUsage.CollectAsync(
                state, outcome, context.Response.StatusCode, hold.Estimated, usage);
            var used = await tokens.SettleAsync(hold, context.TraceIdentifier, evidence);
            await RecordAsync(context, state, outcome, budget, used, evidence.Wasted(used));
        }
    }

    /// <summary>Counts what a request used, and settles its budgets.</summary>
    private Task RecordAsync(HttpContext context, ForwardState state, ForwardOutcome outcome, BudgetHold budget,
        TokenUsage tokens, long wasted)
    {
        var used = recorder.Add(state, outcome, context.Response.StatusCode, tokens, wasted);
        return budgets.SettleAsync(budget, state.Attempts > 0 ? 1 : 0, used);
    }

    private ForwardState CreateState(
        AuthenticatedRequest admission, string target, bool repeatable, TokenUsage? demand)
    {
        var countsTokens = demand is not null;
        var endpoint = admission.Deployment!.Endpoint.Id;
        return new ForwardState(admission.Deployment, target, admission.Flow, admission.Arrived, time.GetUtcNow())
        {
            Auth = admission.Took,
            Weight = countsTokens ? costs.Weigh(endpoint, admission.Flow, admission.Weight) : admission.Weight,
            CountsTokens = countsTokens,
            Demand = demand ?? default,
            Admin = admission.Caller is { Scope.Admin: true } && admission.Deployment!.Template.IsBuiltIn,
            Anonymous = admission.Caller is not { } caller
                || !caller.Scope.MayInvoke(admission.Named!.Endpoint.Id),
            IsRepeatable = repeatable,
            IsSecure = routing.IsSecure,
            Model = admission.Model,
        };
    }

    /// <summary>Forwards a request, and writes an error response if no worker answered.</summary>
    private async Task<ForwardOutcome> ForwardAsync(HttpContext context, ForwardState state)
    {
        var admission = context.Admission();
        ForwardResult result;
        try
        {
            result = await forwarder.ForwardAsync(context, state);
            // The response to a request that timed out in the queue states what the request waited for.
            if (result.Outcome == ForwardOutcome.QueueTimeout)
                result = await ExplainAsync(result, admission.Deployment!, state.Anonymous);
        }
        catch (Exception e)
        {
            await GatewayExceptionHandler.AnswerAsync(context, e, logger);
            return ForwardOutcome.WorkerAnswerInvalid;
        }

        var elapsedMs = System.Diagnostics.Stopwatch.GetElapsedTime(state.Arrived).TotalMilliseconds;
        if (result.Outcome.GetStatus() is not { } status)
        {
            RequestForwarded(context.TraceIdentifier, admission.Flow, state.Endpoint.Id, result.Outcome,
                context.Response.StatusCode,
                state.Worker?.PodId ?? "", elapsedMs);
            return result.Outcome;
        }

        RequestRefused(context.TraceIdentifier, admission.Flow, state.Endpoint.Id, result.Outcome, status, elapsedMs,
            result.Detail);
        if (context.Response.HasStarted)
        {
            await EndStreamAsync(context, status, result.Detail);
            return result.Outcome;
        }

        context.Response.Clear();
        context.Response.Headers["Server-Timing"] = state.ServerTiming(null);
        // Callers without a key learn no name of a worker.
        if (status == StatusCodes.Status502BadGateway && !state.Anonymous && state.Worker is { } worker)
            context.Response.Headers.Link =
                $"<{WorkerLogPath.For(state.Endpoint.Id, worker.PodId)}>; rel=\"worker-log\"";
        await result.WriteProblemAsync(context);
        return result.Outcome;
    }

    /// <summary>
    /// Returns whether a request generates text by the OpenAI API. It can be repeated: it changes nothing.
    /// </summary>
    private static bool IsGeneration(string method, string target)
    {
        var path = target.AsSpan();
        if (path.IndexOf('?') is var query and >= 0) path = path[..query];
        return HttpMethods.IsPost(method) && ResumableStream.IsServedAt(path);
    }

    /// <summary>Ends the response of a client that waited for a stream, and has its headers.</summary>
    private static async Task EndStreamAsync(HttpContext context, int status, string detail)
    {
        try
        {
            await StreamContinuation.SendErrorAsync(context, status, detail);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            // The client has disconnected.
        }
    }

    /// <summary>
    /// Adds the reason for the wait to a queue timeout. If Redis is not reachable, the result is returned unchanged.
    /// </summary>
    private async Task<ForwardResult> ExplainAsync(ForwardResult result, Deployment deployment, bool anonymous)
    {
        try
        {
            var id = deployment.Endpoint.Id;
            var wait = deployment.Template.Gpu is null ? null : await gpus.WaitOfAsync(id, CancellationToken.None);
            var workers = await pods.ListAsync(id, CancellationToken.None);
            var why = WaitExplanation.Describe(deployment.Endpoint, workers, wait, anonymous);
            return why.Length == 0 ? result : result with { Detail = $"{result.Detail} {why}" };
        }
        catch (Exception e) when (RedisErrors.Is(e))
        {
            return result;
        }
    }

    [LoggerMessage(LogLevel.Debug,
        "Request {Request} of key {Key} forwarded to endpoint {Endpoint}: {Outcome} {Status} from worker {Worker} in "
        + "{Ms:0.0} ms")]
    private partial void RequestForwarded(
        string request, string key, string endpoint, ForwardOutcome outcome, int status, string worker, double ms);

    [LoggerMessage(LogLevel.Information,
        "Request {Request} of key {Key} to endpoint {Endpoint} failed: {Outcome} {Status} in {Ms:0.0} ms: {Detail}")]
    private partial void RequestRefused(
        string request, string key, string endpoint, ForwardOutcome outcome, int status, double ms, string detail);
}
