using Sluice.Gateway.Auth;
using Sluice.Gateway.Operations;

namespace Sluice.Gateway.Api;

/// <summary>What operators' tools ask: alive, able to serve, metrics.</summary>
public static class OperationsApi
{
    public static void Map(IEndpointRouteBuilder routes, Readiness readiness, MetricsCollector metrics, bool metricsPublic)
    {
        routes.On("GET", "/healthz", Demand.Nothing, "The process runs", () => Results.Text("alive\n"));
        routes.On("GET", "/readyz", Demand.Nothing, "The gateway can take requests; else the reasons, a line each",
            async (HttpContext context) =>
            {
                var why = await readiness.WhyNotAsync(context.RequestAborted);
                return why.Count == 0 ? Results.Text("ready\n")
                    : Results.Text(string.Join('\n', why) + '\n', statusCode: StatusCodes.Status503ServiceUnavailable);
            });
        routes.On("GET", "/metrics", metricsPublic ? Demand.Nothing : Demand.Admin, "Prometheus metrics",
            () => Results.Text(PrometheusText.Write(metrics.Collect()), PrometheusText.ContentType));
    }
}
