using System.Text;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Health;
using Sluice.Gateway.Http;
using Sluice.Gateway.Observability;

namespace Sluice.Gateway.Management;

/// <summary>Liveness, readiness and metrics for the tools of operators.</summary>
public static class OperationsApi
{
    private const string Text = "text/plain";

    /// <summary>Maps the routes.</summary>
    public static void Map(IEndpointRouteBuilder routes, Readiness readiness, MetricsCollector metrics,
        FleetGauges fleet, WorkerMetrics workers, bool metricsPublic)
    {
        routes.MapRoute("GET", "/healthz", AccessLevel.Nothing, "Check that the process runs",
            () => Results.Text("alive\n")).Produces<string>(StatusCodes.Status200OK, Text);
        routes.MapRoute("GET", "/readyz", AccessLevel.Nothing,
            "Check that the gateway accepts requests; otherwise list the reasons, one per line",
            async (HttpContext context) =>
            {
                var why = await readiness.GetObstaclesAsync(context.RequestAborted);
                return why.Count == 0 ? Results.Text("ready\n")
                    : Results.Text(string.Join('\n', why) + '\n', statusCode: StatusCodes.Status503ServiceUnavailable);
            }).Produces<string>(StatusCodes.Status200OK, Text)
            .Produces<string>(StatusCodes.Status503ServiceUnavailable, Text);
        var scraper = metricsPublic ? AccessLevel.Nothing : AccessLevel.Metrics;
        routes.MapRoute("GET", "/metrics", scraper, "Get Prometheus metrics of the gateway",
            async (HttpContext context) =>
            {
                await fleet.RefreshAsync(context.RequestAborted);
                await CompressibleText.WriteAsync(context, await metrics.CollectAsync(context.RequestAborted),
                    MetricsCollector.ContentType);
            }).Produces<string>(StatusCodes.Status200OK, Text);
        routes.MapRoute("GET", "/metrics/workers", scraper,
            "Get Prometheus metrics of all workers on this host, with the labels endpoint and pod",
            async (HttpContext context) => await CompressibleText.WriteAsync(context,
                Encoding.UTF8.GetBytes(await workers.CollectAsync(context.RequestAborted)),
                MetricsCollector.ContentType)).Produces<string>(StatusCodes.Status200OK, Text);
        routes.MapRoute("GET", "/api/v1/endpoints/{id}/workers/{worker}/metrics", AccessLevel.Read,
            "Get Prometheus metrics of a ready worker on this host",
            async (HttpContext context, string id, string worker) =>
            {
                if (await workers.FindAsync(id, worker) is { } text)
                    await CompressibleText.WriteAsync(
                        context, Encoding.UTF8.GetBytes(text), MetricsCollector.ContentType);
                else
                    await Problem.WriteAsync(context, StatusCodes.Status404NotFound,
                        $"Endpoint '{id}' has no ready worker '{worker}' on the host of this gateway.");
            }).Produces<string>(StatusCodes.Status200OK, Text);
    }
}
