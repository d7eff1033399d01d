using System.Globalization;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Generation;
using Sluice.Worker.Serving;

namespace Sluice.Worker.Api;

/// <summary>
/// Adds the load of this worker to a response, as a header with ORCA's load report (xds.data.orca.v3.OrcaLoadReport)
/// in text or JSON form. The request selects the form with a header. A request for any other form gets no report, as
/// in Triton.
/// </summary>
internal sealed class LoadReport(ModelHost host)
{
    /// <summary>Request header: <c>text</c> or <c>json</c>.</summary>
    public const string FormatHeader = "endpoint-load-metrics-format";

    /// <summary>Response header with the report.</summary>
    public const string ReportHeader = "endpoint-load-metrics";

    /// <summary>Sets the response header if the request selects a supported form.</summary>
    public void SetHeader(HttpContext context)
    {
        if (!context.Request.Headers.TryGetValue(FormatHeader, out var format)) return;
        if (string.Equals(format, "text", StringComparison.OrdinalIgnoreCase))
            context.Response.Headers[ReportHeader] =
                $"TEXT {Join(StandardMetrics(), "{0}={1}")}, {Join(NamedMetrics(), "named_metrics.{0}={1}")}";
        else if (string.Equals(format, "json", StringComparison.OrdinalIgnoreCase))
            context.Response.Headers[ReportHeader] =
                $"JSON {{{Join(StandardMetrics(), "\"{0}\": {1}")}, "
                + $"\"named_metrics\": {{{Join(NamedMetrics(), "\"{0}\": {1}")}}}}}";
    }

    /// <summary>
    /// Returns ORCA's standard metrics; rates are means of the last 10 s. Runs that wait for a slot are included, so
    /// the utilization can be above 1.
    /// </summary>
    private List<(string, double)> StandardMetrics()
    {
        var rates = host.Repository.All.Select(m => m.Statistics.Rates).ToList();
        return
        [
            ("application_utilization", host.Slots.Utilization),
            (
                "mem_utilization",
                Math.Min(1, (double)Environment.WorkingSet / GC.GetGCMemoryInfo().TotalAvailableMemoryBytes)
            ),
            ("rps_fractional", rates.Sum(r => r.Requests)), ("eps", rates.Sum(r => r.Failures)),
        ];
    }

    /// <summary>
    /// Returns the custom metrics. For text generation, these include the two metrics of Triton.
    /// </summary>
    private List<(string, double)> NamedMetrics()
    {
        List<(string, double)> named = [("requests_inside", host.Repository.All.Sum(m => m.Scheduler.Inside))];
        var generators = host.Repository.All.Select(m => m.Generator).OfType<TextGenerator>().ToList();
        if (generators.Count == 0) return named;
        var (held, room) = (generators.Sum(g => g.TokensHeld), generators.Sum(g => g.TokenRoom));
        return [.. named, ("kv_cache_utilization", room == 0 ? 0 : (double)held / room), ("max_token_capacity", room)];
    }

    private static string Join(List<(string Name, double Value)> values, string format) =>
        string.Join(", ", values.Select(v => string.Format(
            CultureInfo.InvariantCulture,
            format,
            v.Name,
            v.Value.ToString("0.######", CultureInfo.InvariantCulture))));
}
