namespace Sluice.Gateway.Observability;

/// <summary>
/// Names instruments by the conventions of Prometheus: base units, the unit last, counters end with <c>_total</c>.
/// Source: prometheus.io/docs/practices/naming.
/// </summary>
internal static class PrometheusName
{
    /// <summary>Returns the Prometheus name of an instrument.</summary>
    public static string Format(string instrument, string? unit, MetricKind kind)
    {
        var name = instrument.Replace('.', '_').Replace('-', '_');
        var suffix = unit switch { "s" => "_seconds", "By" => "_bytes", "1" => "_ratio", _ => "" };
        // Prometheus reserves this suffix for histograms; .NET's own instruments have it ("dotnet.timer.count").
        if (kind != MetricKind.Histogram && name.EndsWith("_count", StringComparison.Ordinal))
            name = name[..^"_count".Length];
        if (!name.EndsWith(suffix, StringComparison.Ordinal)) name += suffix;
        return kind == MetricKind.Counter && !name.EndsWith("_total", StringComparison.Ordinal)
            ? name + "_total" : name;
    }
}
