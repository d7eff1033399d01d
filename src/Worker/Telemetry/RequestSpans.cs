using System.Diagnostics;
using System.Globalization;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Http;

namespace Sluice.Worker.Telemetry;

/// <summary>
/// Middleware that starts the span of each request whose caller records its trace. It is only part of the worker if
/// traces are exported.
/// </summary>
/// <param name="router">Returns the names of routes.</param>
/// <param name="next">Handles the requests.</param>
internal sealed class RequestSpans(Router router, RequestDelegate next)
{
    /// <summary>Handles a request.</summary>
    public Task InvokeAsync(HttpContext context) =>
        Start(context) is { } span ? TraceAsync(context, span) : next(context);

    private Activity? Start(HttpContext context)
    {
        var headers = context.Request.Headers;
        if (headers.TraceParent is not [{ Length: > 0 } parent]
            || !ActivityContext.TryParse(parent, headers.TraceState.ToString(), isRemote: true, out var caller)
            || !caller.TraceFlags.HasFlag(ActivityTraceFlags.Recorded))
            return null;
        var pattern = router.FindPattern(context.Request.Method, context.Request.Path.Value ?? "");
        var name = pattern.Length > 0 ? $"{context.Request.Method} {pattern}" : "HTTP";
        if (WorkerSpans.Start(name, ActivityKind.Server, caller) is not { } span) return null;
        span.SetTag("http.request.method", pattern.Length > 0 ? context.Request.Method : "_OTHER");
        if (pattern.Length > 0) span.SetTag("http.route", pattern);
        context.Features.Set(span);
        return span;
    }

    private async Task TraceAsync(HttpContext context, Activity span)
    {
        try
        {
            await next(context);
            var status = context.Response.StatusCode;
            span.SetTag("http.response.status_code", status);
            if (status >= StatusCodes.Status500InternalServerError)
                span.Fail(status.ToString(CultureInfo.InvariantCulture));
        }
        catch (Exception e)
        {
            span.Fail(e.GetType().Name);
            throw;
        }
        finally
        {
            span.Stop();
        }
    }
}
