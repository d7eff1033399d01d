using Sluice.Core.Endpoints;
using Sluice.Core.Jobs;
using Sluice.Gateway.Auth;

namespace Sluice.Gateway.Api;

/// <summary><c>/api/v1/admin</c>: what operators ask when they do not trust what they see.</summary>
public static class AdminApi
{
    public static void Map(IEndpointRouteBuilder routes, JobQueries queries, CatalogWatcher catalog)
    {
        routes.On("GET", "/api/v1/admin/check", Demand.Admin,
            "Whether jobs, tickets, leases, slots and counters of every endpoint (or of ?endpoint=) agree", async (HttpContext context) =>
            {
                string? only = context.Request.Query["endpoint"] is [{ Length: > 0 } named] ? named : null;
                var reports = new List<InvariantReport>();
                foreach (var deployment in catalog.Current.Deployments.OrderBy(d => d.Endpoint.Id, StringComparer.Ordinal))
                    if (only is null || only == deployment.Endpoint.Id)
                        reports.Add(await queries.CheckAsync(deployment.Endpoint.Id, context.RequestAborted));
                return new CheckResult(reports.All(r => r.Count == 0), reports);
            });
    }

    /// <summary>What the check found; <paramref name="Ok"/>: nothing is wrong.</summary>
    public sealed record CheckResult(bool Ok, IReadOnlyList<InvariantReport> Endpoints);
}
