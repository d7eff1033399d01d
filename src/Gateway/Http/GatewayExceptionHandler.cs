using System.Text.RegularExpressions;
using Sluice.Storage.Jobs;
using Sluice.Storage.Redis;

namespace Sluice.Gateway.Http;

/// <summary>
/// Writes error responses for requests that no handler completes: unknown routes, wrong methods, invalid bodies,
/// unreachable Redis.
/// </summary>
internal static partial class GatewayExceptionHandler
{
    /// <summary>
    /// Wraps all handlers except those of <c>EndpointRelay</c>. That class handles its own exceptions, and the
    /// response of a worker passes unchanged.
    /// </summary>
    public static Task InvokeAsync(HttpContext context, RequestDelegate next, ILogger logger) =>
        context.GetEndpoint()?.Metadata.GetMetadata<Relayed>() is null
        ? InvokeNextAsync(context, next, logger) : next(context);

    /// <summary>Writes the response for an unhandled exception.</summary>
    public static Task AnswerAsync(HttpContext context, Exception e, ILogger logger)
    {
        if (context.RequestAborted.IsCancellationRequested || context.Response.HasStarted)
        {
            // The client has disconnected, or part of the response was sent. An aborted connection shows the client
            // that the response is incomplete.
            RequestAborted(logger, context.TraceIdentifier, e.GetType().Name);
            context.Abort();
            return Task.CompletedTask;
        }

        context.Response.Clear();
        if (e is BadHttpRequestException bad) return Problem.WriteAsync(context, bad.StatusCode, bad.Message);
        if (RedisFaults.Classify(e) is var fault and not (RedisFault.None or RedisFault.Rejected))
        {
            if (fault == RedisFault.WrongData)
                RequestHandlerFailed(logger, e, context.TraceIdentifier, context.Request.Method, context.Request.Path);
            return Problem.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, fault.Sentence(),
                TimeSpan.FromSeconds(1));
        }

        if (e is PayloadException payload)
        {
            PayloadFolderFailed(logger, context.TraceIdentifier, payload.Fault, payload.InnerException?.Message ?? "");
            return Problem.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, payload.Message,
                TimeSpan.FromSeconds(10));
        }

        // Half a surrogate pair in a JSON string ("\ud800") is only detected when the string is read.
        if (e is InvalidOperationException { Source: { } source }
            && source.StartsWith("System.Text.Json", StringComparison.Ordinal))
            return Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
            $"The body contains invalid text: {e.Message}");
        RequestHandlerFailed(logger, e, context.TraceIdentifier, context.Request.Method, context.Request.Path);
        return Problem.WriteAsync(context, StatusCodes.Status500InternalServerError,
            "Internal error of the gateway. Its log contains this request id.");
    }

    private static async Task InvokeNextAsync(HttpContext context, RequestDelegate next, ILogger logger)
    {
        try
        {
            await next(context);
            if (context.Response is { HasStarted: false, StatusCode: >= 400, ContentLength: null, ContentType: null })
                await Problem.WriteAsync(context, context.Response.StatusCode, context.Response.StatusCode switch
                {
                    StatusCodes.Status404NotFound => $"The path '{context.Request.Path}' does not exist."
                        + SuggestPath(context.Request.Path),
                    StatusCodes.Status405MethodNotAllowed => $"The path '{context.Request.Path}' does not support the "
                        + $"method {context.Request.Method}"
                        + (context.Response.Headers.Allow is { Count: > 0 } allow ? $"; expected {allow}." : "."),
                    var status => $"The request was rejected with status {status}.",
                });
        }
        catch (Exception e)
        {
            await AnswerAsync(context, e, logger);
        }
    }

    /// <summary>Returns the path of an inference if <c>models</c> is missing in it, otherwise an empty text.</summary>
    internal static string SuggestPath(string path) =>
        WithoutModels().Match(path) is { Success: true } match
            ? $" Did you mean '/v2/models/{match.Groups[1].Value}/{match.Groups[2].Value}'?"
            : "";

    [GeneratedRegex("^/v2/([^/]+)/(infer|generate|generate_stream)\\z")]
    private static partial Regex WithoutModels();

    /// <summary>Route metadata: the response of a worker passes unchanged.</summary>
    public sealed record Relayed;

    [LoggerMessage(LogLevel.Error, "Request {Request} {Method} {Path} failed with an internal error")]
    private static partial void RequestHandlerFailed(
        ILogger logger, Exception e, string request, string method, string path);

    [LoggerMessage(LogLevel.Warning, "Request {Request} failed: payload folder error {Fault}: {Error}")]
    private static partial void PayloadFolderFailed(ILogger logger, string request, PayloadFault fault, string error);

    [LoggerMessage(LogLevel.Debug,
        "Request {Request} aborted: the client disconnected or the response had started ({What})")]
    private static partial void RequestAborted(ILogger logger, string request, string what);
}
