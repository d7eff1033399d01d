using Sluice.Core.Jobs;
using Sluice.Core.Redis;

namespace Sluice.Gateway.Api;

/// <summary>What no handler answered: unknown routes, wrong methods, bodies that break, an unreachable Redis.</summary>
internal static partial class Leftovers
{
    /// <summary>Around every handler but those of <see cref="EndpointRelay"/>, which sees to its own: what a worker
    /// answers is passed on as it is.</summary>
    public static Task InvokeAsync(HttpContext context, RequestDelegate next, ILogger logger) =>
        context.GetEndpoint()?.Metadata.GetMetadata<Relayed>() is null ? AroundAsync(context, next, logger) : next(context);

    /// <summary>Answers for an exception that no handler caught.</summary>
    public static Task AnswerAsync(HttpContext context, Exception e, ILogger logger)
    {
        if (context.RequestAborted.IsCancellationRequested || context.Response.HasStarted)
        {
            // Nobody to answer, or nothing that could still be said: a cut connection does not look complete.
            Gone(logger, context.TraceIdentifier, e.GetType().Name);
            context.Abort();
            return Task.CompletedTask;
        }

        context.Response.Clear();
        if (e is BadHttpRequestException bad) return Problem.WriteAsync(context, bad.StatusCode, bad.Message);
        if (RedisFaults.Of(e) is var fault and not (RedisFault.None or RedisFault.Rejected))
        {
            if (fault == RedisFault.WrongData) Bug(logger, e, context.TraceIdentifier, context.Request.Method, context.Request.Path);
            return Problem.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, fault.Sentence(), TimeSpan.FromSeconds(1));
        }

        if (e is PayloadException payload)
        {
            PayloadBroke(logger, context.TraceIdentifier, payload.Fault, payload.InnerException?.Message ?? "");
            return Problem.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, payload.Message, TimeSpan.FromSeconds(10));
        }

        // Half a surrogate pair in a JSON string ("\ud800") shows only when the string is read.
        if (e is InvalidOperationException { Source: { } source } && source.StartsWith("System.Text.Json", StringComparison.Ordinal))
            return Problem.WriteAsync(context, StatusCodes.Status400BadRequest, $"the body has text that is none: {e.Message}");
        Bug(logger, e, context.TraceIdentifier, context.Request.Method, context.Request.Path);
        return Problem.WriteAsync(context, StatusCodes.Status500InternalServerError,
            "an error of the gateway itself; its log has this request id");
    }

    private static async Task AroundAsync(HttpContext context, RequestDelegate next, ILogger logger)
    {
        try
        {
            await next(context);
            if (context.Response is { HasStarted: false, StatusCode: >= 400, ContentLength: null, ContentType: null })
                await Problem.WriteAsync(context, context.Response.StatusCode, context.Response.StatusCode switch
                {
                    StatusCodes.Status404NotFound => $"no such path: {context.Request.Path}",
                    StatusCodes.Status405MethodNotAllowed => $"{context.Request.Method} is not possible on {context.Request.Path}",
                    var status => $"the request was refused ({status})",
                });
        }
        catch (Exception e)
        {
            await AnswerAsync(context, e, logger);
        }
    }

    /// <summary>Route metadata: a worker's answer passes through as it is.</summary>
    public sealed record Relayed;

    [LoggerMessage(LogLevel.Error, "Request {Request} {Method} {Path} failed")]
    private static partial void Bug(ILogger logger, Exception e, string request, string method, string path);

    [LoggerMessage(LogLevel.Warning, "Request {Request} failed at the payload folder ({Fault}): {Error}")]
    private static partial void PayloadBroke(ILogger logger, string request, PayloadFault fault, string error);

    [LoggerMessage(LogLevel.Debug, "Request {Request}: the client is gone ({What})")]
    private static partial void Gone(ILogger logger, string request, string what);
}
