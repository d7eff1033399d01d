using Sluice.Gateway.Auth;
using Sluice.Gateway.Operations;

namespace Sluice.Gateway.Api;

/// <summary>What operators' tools ask: alive, able to serve, metrics.</summary>
public static class OperationsApi
{
    public static void Map(IEndpointRouteBuilder routes, Readiness readiness, MetricsCollector metrics, FleetGauges fleet, WorkerMetrics workers, bool metricsPublic)
    {
        routes.On("GET", "/healthz", Demand.Nothing, "The process runs", () => Results.Text("alive\n"));
        routes.On("GET", "/readyz", Demand.Nothing, "The gateway can take requests; else the reasons, a line each",
            async (HttpContext context) =>
            {
                var why = await readiness.WhyNotAsync(context.RequestAborted);
                return why.Count == 0 ? Results.Text("ready\n")
                    : Results.Text(string.Join('\n', why) + '\n', statusCode: StatusCodes.Status503ServiceUnavailable);
            });
        var scraper = metricsPublic ? Demand.Nothing : Demand.Admin;
        routes.On("GET", "/metrics", scraper, "Prometheus metrics",
            async (HttpContext context) =>
            {
                await fleet.RefreshAsync(context.RequestAborted);
                await CompressibleText.WriteAsync(context, PrometheusText.Write(metrics.Collect()), PrometheusText.ContentType);
            });
        routes.On("GET", "/metrics/workers", scraper, "Prometheus metrics of this host's workers, each asked for its own, with the labels endpoint and pod",
            async (HttpContext context) => await CompressibleText.WriteAsync(context, await workers.CollectAsync(context.RequestAborted), PrometheusText.ContentType));
    }
}
