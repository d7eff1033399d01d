using Sluice.Core.Redis;
using Sluice.Gateway.Auth;

namespace Sluice.Gateway.Api;

/// <summary>What no handler answered: unknown routes, wrong methods, bodies that break, an unreachable Redis.</summary>
internal static partial class Leftovers
{
    public static async Task InvokeAsync(HttpContext context, RequestDelegate next, ILoggerFactory logs)
    {
        try
        {
            await next(context);
            // What a worker answered is passed on as it is.
            if (context.Features.Get<Admission>()?.Deployment is null
                && context.Response is { HasStarted: false, StatusCode: >= 400, ContentLength: null, ContentType: null })
                await Problem.WriteAsync(context, context.Response.StatusCode, context.Response.StatusCode switch
                {
                    StatusCodes.Status404NotFound => $"no such path: {context.Request.Path}",
                    StatusCodes.Status405MethodNotAllowed => $"{context.Request.Method} is not possible on {context.Request.Path}",
                    var status => $"the request was refused ({status})",
                });
        }
        catch (Exception e) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client is gone: nobody to answer.
            Gone(logs.CreateLogger("Sluice.Gateway.Api"), context.TraceIdentifier, e.GetType().Name);
        }
        catch (BadHttpRequestException e) when (!context.Response.HasStarted)
        {
            await Problem.WriteAsync(context, e.StatusCode, e.Message);
        }
        catch (Exception e) when (RedisDown.Is(e) && !context.Response.HasStarted)
        {
            await Problem.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, "Redis is unreachable", TimeSpan.FromSeconds(1));
        }
        catch (Exception e) when (!context.Response.HasStarted)
        {
            Bug(logs.CreateLogger("Sluice.Gateway.Api"), e, context.TraceIdentifier, context.Request.Method, context.Request.Path);
            await Problem.WriteAsync(context, StatusCodes.Status500InternalServerError,
                "an error of the gateway itself; its log has this request id");
        }
    }

    [LoggerMessage(LogLevel.Error, "Request {Request} {Method} {Path} failed")]
    private static partial void Bug(ILogger logger, Exception e, string request, string method, string path);

    [LoggerMessage(LogLevel.Debug, "Request {Request}: the client is gone ({What})")]
    private static partial void Gone(ILogger logger, string request, string what);
}
