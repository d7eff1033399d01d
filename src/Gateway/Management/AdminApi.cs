using Sluice.Domain.Declarations;
using Sluice.Gateway.Authentication;
using Sluice.Storage.Catalog;
using Sluice.Storage.Jobs;

namespace Sluice.Gateway.Management;

/// <summary><c>/api/v1/admin</c>: consistency checks for operators.</summary>
public static class AdminApi
{
    /// <summary>Maps the routes.</summary>
    public static void Map(IEndpointRouteBuilder routes, JobQueries queries, CatalogWatcher catalog)
    {
        routes.MapRoute("GET", "/api/v1/admin/check", AccessLevel.Read,
            "Check that jobs, tickets, leases, slots and counters of all endpoints (or of ?endpoint=) are consistent",
            async (HttpContext context) =>
            {
                string? only = context.Request.Query["endpoint"] is [{ Length: > 0 } named] ? named : null;
                var reports = new List<InvariantReport>();
                var deployments = catalog.Current.Deployments.OrderBy(d => d.Endpoint.Id, StringComparer.Ordinal);
                foreach (var deployment in deployments)
                    if (only is null || only == deployment.Endpoint.Id)
                        reports.Add(await queries.CheckAsync(deployment.Endpoint.Id, context.RequestAborted));
                return new CheckResult(reports.All(r => r.Count == 0), reports);
            });
    }

    /// <summary>The result of the check. <paramref name="Ok"/> is true if no endpoint has an inconsistency.</summary>
    public sealed record CheckResult(bool Ok, IReadOnlyList<InvariantReport> Endpoints);
}
