using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Logging;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Api;

/// <summary>What stands before every handler: the pod's token, and errors as answers.</summary>
internal sealed class Guard(WorkerSettings settings, WorkerLog log)
{
    /// <summary>Bytes of an Authorization header that could be a pod's token.</summary>
    private const int MaxHeader = 1536;

    private readonly byte[]? expected =
        settings.PodToken is null ? null : SHA256.HashData(Encoding.UTF8.GetBytes("Bearer " + settings.PodToken));

    public Task InvokeAsync(HttpContext context, RequestDelegate next) =>
        log.Logs(LogLevel.Debug) ? ToldAsync(context, next) : AnswerAsync(context, next);

    private async Task ToldAsync(HttpContext context, RequestDelegate next)
    {
        var started = Stopwatch.GetTimestamp();
        try
        {
            await AnswerAsync(context, next);
        }
        finally
        {
            // The path as it was sent: decoded it could have a line's end.
            var (path, took) = (context.Request.Path.ToUriComponent(), Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            log.Write(LogLevel.Debug, nameof(Guard), string.Create(CultureInfo.InvariantCulture,
                $"{context.Request.Method} {path} {context.Response.StatusCode} in {took:0.###} ms"));
        }
    }

    private async Task AnswerAsync(HttpContext context, RequestDelegate next)
    {
        if (expected is not null && !Allowed(context))
        {
            await Answers.ErrorAsync(context, StatusCodes.Status401Unauthorized,
                "this worker takes requests from its gateway only: the pod token is missing or wrong");
            return;
        }

        try
        {
            await next(context);
            if (context.Response.StatusCode is 404 or 405 && !context.Response.HasStarted)
                await Answers.ErrorAsync(context, context.Response.StatusCode,
                    context.Response.StatusCode == 404 ? "Not Found" : "Method Not Allowed");
        }
        catch (InvalidRequestException e) when (!context.Response.HasStarted)
        {
            await Answers.ErrorAsync(context, e.Status, e.Message);
        }
        catch (BadHttpRequestException e) when (!context.Response.HasStarted)
        {
            await Answers.ErrorAsync(context, e.StatusCode, e.Message);
        }
        catch (OnnxRuntimeException e) when (!context.Response.HasStarted)
        {
            log.Error(nameof(Guard), $"run failed: {e.Message}");
            await Answers.ErrorAsync(context, StatusCodes.Status500InternalServerError, $"the model failed: {RunError.Clean(e.Message)}");
        }
        catch (InvalidOperationException e) when (IsText(e) && !context.Response.HasStarted)
        {
            await Answers.ErrorAsync(context, StatusCodes.Status400BadRequest, $"the request JSON has text that is none: {e.Message}");
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client is gone: nobody to answer.
        }
        catch (IOException) when (context.RequestAborted.IsCancellationRequested)
        {
            // Likewise.
        }
        catch (Exception e) when (!context.Response.HasStarted && !context.RequestAborted.IsCancellationRequested)
        {
            log.Error(nameof(Guard), $"request failed: {e}");
            await Answers.ErrorAsync(context, StatusCodes.Status500InternalServerError, "an error of the worker itself; its output has it");
        }
    }

    /// <summary>System.Text.Json's word for half a surrogate pair in a string ("\ud800"), found only when it is read.</summary>
    private static bool IsText(InvalidOperationException e) => e.Source?.StartsWith("System.Text.Json", StringComparison.Ordinal) == true;

    private bool Allowed(HttpContext context)
    {
        var text = context.Request.Headers.Authorization.ToString();
        Span<byte> bytes = stackalloc byte[MaxHeader], given = stackalloc byte[SHA256.HashSizeInBytes];
        if (text.Length > MaxHeader / 3) return false;
        SHA256.HashData(bytes[..Encoding.UTF8.GetBytes(text, bytes)], given);
        return CryptographicOperations.FixedTimeEquals(given, expected);
    }
}
