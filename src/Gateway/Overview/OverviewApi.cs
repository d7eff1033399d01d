using System.Text.Json;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.Keys;
using Sluice.Storage.Redis;

namespace Sluice.Gateway.Overview;

/// <summary><c>/api/v1/overview</c>: the state of the whole product, once or as a stream.</summary>
public sealed class OverviewApi(
    OverviewReader overview,
    ApiKeyCache keys,
    SessionAuthentication sessions,
    IHostApplicationLifetime lifetime,
    TimeProvider time)
{
    /// <summary>Maps the route.</summary>
    public void Map(IEndpointRouteBuilder routes) => routes.MapRoute("GET", "/api/v1/overview", AccessLevel.Read,
        "Get workers, GPUs, queue, rates and durations, of all and of each endpoint; ?follow=true: as server-sent "
        + "events, about every 2 s", ReadAsync).Produces<OverviewView>();

    private async Task ReadAsync(HttpContext context)
    {
        var follow = context.Request.Query["follow"].ToString();
        if (follow is not ("" or "true" or "false"))
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                $"follow is '{follow}'; expected true or false.");
            return;
        }

        var first = await overview.ReadAsync(context.RequestAborted);
        if (follow == "true") await FollowAsync(context, first);
        else await context.Response.WriteAsJsonAsync(first, context.RequestAborted);
    }

    private async Task FollowAsync(HttpContext context, OverviewView view)
    {
        var response = context.Response;
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-store";
        response.Headers["X-Accel-Buffering"] = "no";
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(
            context.RequestAborted, lifetime.ApplicationStopping);
        try
        {
            for (OverviewView? last = null; await IsAllowedAsync(context, stop.Token);)
            {
                // A comment keeps the connection open while a reading takes long, or Redis is not reachable.
                var text = ReferenceEquals(view, last) ? ": \n\n" : $"event: overview\ndata: {Serialize(view)}\n\n";
                await response.WriteAsync(text, stop.Token);
                await response.Body.FlushAsync(stop.Token);
                last = view;
                await Task.Delay(OverviewReader.Interval, time, stop.Token);
                try
                {
                    view = await overview.ReadAsync(stop.Token);
                }
                catch (Exception e) when (RedisErrors.Is(e))
                {
                    // The next reading may succeed.
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The client has disconnected, or the gateway stops.
        }
    }

    /// <summary>A stream ends with its key and its session: the reader signs in again.</summary>
    private async Task<bool> IsAllowedAsync(HttpContext context, CancellationToken ct)
    {
        var verdict = keys.FindById(context.Admission().Caller!.KeyId, time.GetUtcNow(), out var caller);
        if (verdict == KeyVerdict.Valid && !caller!.Scope.MayRead) return false;
        if (verdict == KeyVerdict.Valid && context.Features.Get<Session>() is not null
            && SessionAuthentication.FindToken(context) is { } token)
            (verdict, _, _) = await sessions.FindAsync(token, ct);
        return verdict is KeyVerdict.Valid or KeyVerdict.CannotCheck;
    }

    private static string Serialize(OverviewView view) =>
        JsonSerializer.Serialize(view, OverviewJson.Default.OverviewView);
}
