using System.Globalization;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Models;

namespace Sluice.Worker.Api;

/// <summary>
/// How loaded this worker is, in a header of the answer where the request asks for it: ORCA's load report (xds.data.orca.v3.OrcaLoadReport), as text
/// or as JSON. What asks for another form gets none, as with Triton.
/// </summary>
internal sealed class LoadReport(ModelHost host)
{
    public const string Asks = "endpoint-load-metrics-format";
    public const string Tells = "endpoint-load-metrics";

    public void Tell(HttpContext context)
    {
        if (!context.Request.Headers.TryGetValue(Asks, out var format)) return;
        if (string.Equals(format, "text", StringComparison.OrdinalIgnoreCase))
            context.Response.Headers[Tells] = $"TEXT {Join(Values(), "{0}={1}")}, {Join(Named(), "named_metrics.{0}={1}")}";
        else if (string.Equals(format, "json", StringComparison.OrdinalIgnoreCase))
            context.Response.Headers[Tells] = $"JSON {{{Join(Values(), "\"{0}\": {1}")}, \"named_metrics\": {{{Join(Named(), "\"{0}\": {1}")}}}}}";
    }

    /// <summary>ORCA's own: of the last ten seconds. Lanes that are waited for count too, so that the first may be more than 1.</summary>
    private List<(string, double)> Values()
    {
        var rates = host.Repository.All.Select(m => m.Statistics.Rates).ToList();
        return
        [
            ("application_utilization", host.Lanes.Utilization),
            ("mem_utilization", Math.Min(1, (double)Environment.WorkingSet / GC.GetGCMemoryInfo().TotalAvailableMemoryBytes)),
            ("rps_fractional", rates.Sum(r => r.Requests)), ("eps", rates.Sum(r => r.Failures)),
        ];
    }

    /// <summary>Ours, and of text Triton's two. More room for tokens is made when it is needed: the capacity is what there is now.</summary>
    private List<(string, double)> Named()
    {
        List<(string, double)> named = [("requests_inside", host.Repository.All.Sum(m => m.Scheduler.Inside))];
        var generators = host.Repository.All.Select(m => m.Generator).OfType<Generation.TextGenerator>().ToList();
        if (generators.Count == 0) return named;
        var (held, room) = (generators.Sum(g => g.TokensHeld), generators.Sum(g => g.TokenRoom));
        return [.. named, ("kv_cache_utilization", room == 0 ? 0 : (double)held / room), ("max_token_capacity", room)];
    }

    private static string Join(List<(string Name, double Value)> values, string each) => string.Join(", ", values.Select(v =>
        string.Format(CultureInfo.InvariantCulture, each, v.Name, v.Value.ToString("0.######", CultureInfo.InvariantCulture))));
}
