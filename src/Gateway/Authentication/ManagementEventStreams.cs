using Sluice.Gateway.Http;
using Sluice.Storage.Keys;
using Sluice.Storage.Redis;

namespace Sluice.Gateway.Authentication;

/// <summary>
/// Writes streams of server-sent events of the management API. A stream ends with its reader, with the gateway, and
/// within 2 s with the key or the session of its reader.
/// </summary>
public sealed class ManagementEventStreams(
    ApiKeyCache keys, SessionAuthentication sessions, IHostApplicationLifetime lifetime, TimeProvider time)
{
    private static readonly TimeSpan CheckEvery = TimeSpan.FromSeconds(1);

    /// <summary>Sends the headers, and runs <paramref name="write"/>.</summary>
    /// <param name="context">The request. Its caller is authorized for the route.</param>
    /// <param name="write">Writes the events. Its token is canceled when the stream must end.</param>
    public async Task WriteAsync(HttpContext context, Func<CancellationToken, Task> write)
    {
        var response = context.Response;
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-store";
        response.Headers["X-Accel-Buffering"] = "no";
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(
            context.RequestAborted, lifetime.ApplicationStopping);
        var watch = WatchAsync(context, stop);
        try
        {
            await response.Body.FlushAsync(stop.Token);
            await write(stop.Token);
        }
        catch (OperationCanceledException)
        {
            // The reader has disconnected or must sign in again, or the gateway stops.
        }
        finally
        {
            await stop.CancelAsync();
            await watch;
        }
    }

    private async Task WatchAsync(HttpContext context, CancellationTokenSource stop)
    {
        try
        {
            while (await IsAllowedAsync(context, stop.Token)) await Task.Delay(CheckEvery, time, stop.Token);
            await stop.CancelAsync();
        }
        catch (OperationCanceledException)
        {
            // The stream has ended.
        }
    }

    private async Task<bool> IsAllowedAsync(HttpContext context, CancellationToken ct)
    {
        var level = context.GetEndpoint()?.Metadata.GetMetadata<AccessRule>()?.Level ?? AccessLevel.Admin;
        var key = keys.FindById(context.Admission().Caller!.KeyId, time.GetUtcNow(), out var caller);
        try
        {
            if (key == KeyVerdict.Valid && context.Features.Get<Session>() is not null
                && SessionAuthentication.FindToken(context) is { } token)
                (key, caller, _) = await sessions.FindAsync(token, ct);
        }
        catch (Exception e) when (RedisErrors.Is(e))
        {
            key = KeyVerdict.CannotCheck;
        }

        var (verdict, _) = Access.Decide(level, key, caller, "", null);
        return verdict is AccessVerdict.Granted or AccessVerdict.CannotCheck;
    }
}
