using System.Text.Json;
using Sluice.Domain.Fleet;
using Sluice.Gateway.Authentication;
using Sluice.Storage.Fleet;
using Sluice.Storage.Redis;

namespace Sluice.Gateway.Management;

/// <summary>
/// <c>/api/v1/hosts</c>: lists the machines that run workers, with their diagnostics report, and the versions of the
/// data that each gateway supports.
/// </summary>
public static class HostsApi
{
    /// <summary>Maps the route.</summary>
    /// <param name="routes">Gets the route.</param>
    /// <param name="store">The reports.</param>
    /// <param name="schema">The version of the data, as this gateway read it last.</param>
    public static void Map(IEndpointRouteBuilder routes, PodStore store, ActiveSchema schema) =>
        routes.MapRoute("GET", "/api/v1/hosts", AccessLevel.Read,
            "List hosts with their diagnostics report (GPUs, driver, libraries, execution providers), and the "
            + "versions of the data in Redis that their gateways support",
            async (HttpContext context) =>
            new HostList([.. (await store.ReportsAsync(context.RequestAborted)).Select(View)], View(schema)));

    private static HostView View(HostReport report)
    {
        using var doctor = JsonDocument.Parse(report.Report);
        return new HostView(report.HostId, report.At, doctor.RootElement.Clone());
    }

    private static DataSchema View(ActiveSchema schema)
    {
        var (seen, own) = (schema.View, schema.Supported);
        return new DataSchema(seen.Schema.Active, seen.Schema.IsRaising ? seen.Schema.Required : null, own.Oldest,
            own.Newest, [.. seen.Gateways.Select(g => new GatewayVersions(g.HostId, g.Range.Oldest, g.Range.Newest))]);
    }

    /// <summary>The response to <c>GET /api/v1/hosts</c>.</summary>
    public sealed record HostList(IReadOnlyList<HostView> Hosts, DataSchema Schema);

    /// <summary>
    /// The version of the data in Redis that is active, the version to which it is raised now (null: none), the
    /// versions that this gateway supports, and those of all gateways with a lease.
    /// </summary>
    public sealed record DataSchema(
        int Active, int? RaisingTo, int Oldest, int Newest, IReadOnlyList<GatewayVersions> Gateways);

    /// <summary>The oldest and the newest version that the gateway of a host supports.</summary>
    public sealed record GatewayVersions(string HostId, int Oldest, int Newest);

    /// <summary>A host, the time of its last diagnostics run, and the report in its original form.</summary>
    public sealed record HostView(string Id, DateTimeOffset ExaminedAt, JsonElement Doctor);
}
