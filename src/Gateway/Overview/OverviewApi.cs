using System.Text.Json;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.Redis;

namespace Sluice.Gateway.Overview;

/// <summary><c>/api/v1/overview</c>: the state of the whole product, once or as a stream.</summary>
public sealed class OverviewApi(OverviewReader overview, ManagementEventStreams streams, TimeProvider time)
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
        if (follow == "true") await streams.WriteAsync(context, ct => WriteAsync(context.Response, first, ct));
        else await context.Response.WriteAsJsonAsync(first, context.RequestAborted);
    }

    private async Task WriteAsync(HttpResponse response, OverviewView view, CancellationToken ct)
    {
        for (OverviewView? last = null; ;)
        {
            // A comment keeps the connection open while a reading takes long, or Redis is not reachable.
            var text = ReferenceEquals(view, last) ? ": \n\n" : $"event: overview\ndata: {Serialize(view)}\n\n";
            await response.WriteAsync(text, ct);
            await response.Body.FlushAsync(ct);
            last = view;
            await Task.Delay(OverviewReader.Interval, time, ct);
            try
            {
                view = await overview.ReadAsync(ct);
            }
            catch (Exception e) when (RedisErrors.Is(e))
            {
                // The next reading may succeed.
            }
        }
    }

    private static string Serialize(OverviewView view) =>
        JsonSerializer.Serialize(view, OverviewJson.Default.OverviewView);
}
