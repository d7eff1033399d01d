using System.Text.Json;
using Sluice.Core.Workers;
using Sluice.Gateway.Auth;

namespace Sluice.Gateway.Api;

/// <summary><c>/api/v1/hosts</c>: the machines that run workers, and what stands on them.</summary>
public static class HostsApi
{
    public static void Map(IEndpointRouteBuilder routes, PodStore store) =>
        routes.On("GET", "/api/v1/hosts", Demand.Admin, "Hosts with what the doctor found on them: GPUs, driver, libraries, what will serve",
            async (HttpContext context) => new HostList([.. (await store.ReportsAsync(context.RequestAborted)).Select(View)]));

    private static HostView View(HostReport report)
    {
        using var doctor = JsonDocument.Parse(report.Report);
        return new HostView(report.HostId, report.At, doctor.RootElement.Clone());
    }

    /// <summary>Answer to the list.</summary>
    public sealed record HostList(IReadOnlyList<HostView> Hosts);

    /// <summary>A host, when it was examined last, and the doctor's answer as it is.</summary>
    public sealed record HostView(string Id, DateTimeOffset ExaminedAt, JsonElement Doctor);
}
