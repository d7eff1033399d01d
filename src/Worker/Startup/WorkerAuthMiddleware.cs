using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Configuration;
using Sluice.Worker.Http;
using Sluice.Worker.Logging;
using Sluice.Worker.Runtime;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Startup;

/// <summary>Middleware that checks the pod token, logs requests, and converts exceptions to error responses.</summary>
internal sealed class WorkerAuthMiddleware(WorkerSettings settings, WorkerLog log)
{
    /// <summary>Maximum size in bytes of an Authorization header that can contain a pod token.</summary>
    private const int MaxHeader = 1536;

    private readonly byte[]? expected =
        settings.PodToken is null ? null : SHA256.HashData(Encoding.UTF8.GetBytes("Bearer " + settings.PodToken));

    /// <summary>Handles a request.</summary>
    public Task InvokeAsync(HttpContext context, RequestDelegate next) =>
        log.IsEnabled(LogLevel.Debug) ? HandleAndLogAsync(context, next) : HandleAsync(context, next);

    private async Task HandleAndLogAsync(HttpContext context, RequestDelegate next)
    {
        var started = Stopwatch.GetTimestamp();
        try
        {
            await HandleAsync(context, next);
        }
        finally
        {
            // The encoded path is logged, because a decoded path can contain line breaks.
            var path = context.Request.Path.ToUriComponent();
            var duration = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            log.Write(LogLevel.Debug, nameof(WorkerAuthMiddleware), string.Create(CultureInfo.InvariantCulture,
                $"{context.Request.Method} {path} {context.Response.StatusCode} in {duration:0.###} ms"),
                RequestIds.Find(context));
        }
    }

    private async Task HandleAsync(HttpContext context, RequestDelegate next)
    {
        if (expected is not null && !IsAuthorized(context))
        {
            await JsonResponses.ErrorAsync(
                context,
                StatusCodes.Status401Unauthorized,
                "The pod token is missing or wrong. This worker accepts requests from its gateway only.");
            return;
        }

        try
        {
            await next(context);
        }
        catch (InvalidRequestException e) when (!context.Response.HasStarted)
        {
            JsonResponses.SetRetryAfter(context, e.RetryAfter);
            await JsonResponses.ErrorAsync(context, e.Status, e.Message);
        }
        catch (BadHttpRequestException e) when (!context.Response.HasStarted)
        {
            await JsonResponses.ErrorAsync(context, e.StatusCode, e.Message);
        }
        catch (OnnxRuntimeException e) when (!context.Response.HasStarted)
        {
            log.Error(nameof(WorkerAuthMiddleware), $"Model run failed: {e.Message}", RequestIds.Find(context));
            await JsonResponses.ErrorAsync(
                context,
                StatusCodes.Status500InternalServerError,
                $"The model failed: {RunError.Clean(e.Message)}");
        }
        catch (InvalidOperationException e) when (IsInvalidText(e) && !context.Response.HasStarted)
        {
            await JsonResponses.ErrorAsync(
                context,
                StatusCodes.Status400BadRequest,
                $"The request JSON contains invalid text: {e.Message}");
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client is disconnected: a response cannot be sent.
        }
        catch (IOException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client is disconnected: a response cannot be sent.
        }
        catch (Exception e) when (!context.Response.HasStarted && !context.RequestAborted.IsCancellationRequested)
        {
            log.Error(nameof(WorkerAuthMiddleware), $"Request failed: {e}", RequestIds.Find(context));
            await JsonResponses.ErrorAsync(
                context,
                StatusCodes.Status500InternalServerError,
                "Internal error of the worker. The worker's log contains the exception.");
        }
    }

    /// <summary>
    /// Whether System.Text.Json found half a surrogate pair in a string ("\ud800"). It reports this only when the
    /// string is read, and as an <see cref="InvalidOperationException"/>.
    /// </summary>
    private static bool IsInvalidText(InvalidOperationException e) =>
        e.Source?.StartsWith("System.Text.Json", StringComparison.Ordinal) == true;

    private bool IsAuthorized(HttpContext context)
    {
        var text = context.Request.Headers.Authorization.ToString();
        Span<byte> bytes = stackalloc byte[MaxHeader], given = stackalloc byte[SHA256.HashSizeInBytes];
        if (text.Length > MaxHeader / 3) return false;
        SHA256.HashData(bytes[..Encoding.UTF8.GetBytes(text, bytes)], given);
        return CryptographicOperations.FixedTimeEquals(given, expected);
    }
}
