using System.Diagnostics;
using System.Globalization;
using Sluice.Gateway.Authentication;

namespace Sluice.Gateway.Tracing;

/// <summary>
/// Middleware that starts the trace of a request, or continues the client's trace. Health checks, metrics and static
/// files have none. The sampler decides before anything else is done.
/// </summary>
internal static class RequestTracing
{
    /// <summary>The header of a response with the id of its trace (W3C Trace Context, level 2).</summary>
    public const string ResponseHeader = "traceresponse";

    private static readonly HashSet<string> Methods =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

    /// <summary>Handles a request after routing.</summary>
    public static Task InvokeAsync(HttpContext context, RequestDelegate next) =>
        Start(context) is { } server ? TraceAsync(context, next, server) : next(context);

    private static Activity? Start(HttpContext context)
    {
        if (context.GetEndpoint() is not RouteEndpoint { RoutePattern.RawText: { } route } endpoint) return null;
        if (endpoint.Metadata.GetMetadata<AccessRule>() is { Level: AccessLevel.Nothing or AccessLevel.Metrics })
            return null;
        var isContinued = TraceText.TryRead(context.Request.Headers, out var client);
        var isKnown = Methods.Contains(context.Request.Method);
        var name = $"{(isKnown ? context.Request.Method : "HTTP")} {route}";
        if (Spans.Start(name, ActivityKind.Server, client) is { } server)
        {
            server.SetTag(SpanNames.Method, isKnown ? context.Request.Method : "_OTHER")
                .SetTag(SpanNames.Route, route)
                .SetTag(SpanNames.Request, context.TraceIdentifier);
            context.Features.Set(RequestTrace.Recorded(server));
            return server;
        }

        if (isContinued && TraceText.IsSampled(client)) context.Features.Set(RequestTrace.Unrecorded(client));
        return null;
    }

    private static async Task TraceAsync(HttpContext context, RequestDelegate next, Activity server)
    {
        context.Response.OnStarting(() =>
        {
            context.Response.Headers[ResponseHeader] = TraceText.Parent(server.Context);
            return Task.CompletedTask;
        });
        try
        {
            await next(context);
            var status = context.Response.StatusCode;
            server.SetTag(SpanNames.Status, status);
            if (status >= StatusCodes.Status500InternalServerError && server.Status != ActivityStatusCode.Error)
                server.Fail(status.ToString(CultureInfo.InvariantCulture));
        }
        catch (Exception e)
        {
            server.Fail(e.GetType().Name);
            throw;
        }
        finally
        {
            server.Stop();
        }
    }
}
