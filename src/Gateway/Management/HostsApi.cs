using System.Text.Json;
using Sluice.Domain.Fleet;
using Sluice.Gateway.Authentication;
using Sluice.Storage.Fleet;

namespace Sluice.Gateway.Management;

/// <summary><c>/api/v1/hosts</c>: lists the machines that run workers, with their diagnostics report.</summary>
public static class HostsApi
{
    /// <summary>Maps the route.</summary>
    public static void Map(IEndpointRouteBuilder routes, PodStore store) =>
        routes.MapRoute("GET", "/api/v1/hosts", AccessLevel.Read,
            "List hosts with their diagnostics report: GPUs, driver, libraries, execution providers",
            async (HttpContext context) =>
            new HostList([.. (await store.ReportsAsync(context.RequestAborted)).Select(View)]));

    private static HostView View(HostReport report)
    {
        using var doctor = JsonDocument.Parse(report.Report);
        return new HostView(report.HostId, report.At, doctor.RootElement.Clone());
    }

    /// <summary>The response to <c>GET /api/v1/hosts</c>.</summary>
    public sealed record HostList(IReadOnlyList<HostView> Hosts);

    /// <summary>A host, the time of its last diagnostics run, and the report in its original form.</summary>
    public sealed record HostView(string Id, DateTimeOffset ExaminedAt, JsonElement Doctor);
}
