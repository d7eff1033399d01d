using System.Globalization;
using System.Text;

namespace Sluice.Gateway.Observability;

/// <summary>
/// Writes metrics in the Prometheus text format 0.0.4, with names and units that follow Prometheus' conventions: base
/// units, the unit last, counters end with <c>_total</c>. Source: prometheus.io/docs/practices/naming.
/// </summary>
public static class PrometheusText
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    /// <summary>Returns the Prometheus name of an instrument.</summary>
    public static string Name(string instrument, string? unit, string type)
    {
        var name = instrument.Replace('.', '_').Replace('-', '_');
        var suffix = unit switch { "s" => "_seconds", "By" => "_bytes", "1" => "_ratio", _ => "" };
        // Prometheus reserves this suffix for histograms; .NET's own instruments have it ("dotnet.timer.count").
        if (type != "histogram" && name.EndsWith("_count", StringComparison.Ordinal)) name = name[..^"_count".Length];
        if (!name.EndsWith(suffix, StringComparison.Ordinal)) name += suffix;
        return type == "counter" && !name.EndsWith("_total", StringComparison.Ordinal) ? name + "_total" : name;
    }

    /// <summary>Writes all families.</summary>
    public static string Write(IEnumerable<MetricFamily> families)
    {
        var text = new StringBuilder();
        foreach (var family in families)
        {
            text.Append("# HELP ").Append(family.Name).Append(' ').Append(Escape(family.Help)).Append('\n');
            text.Append("# TYPE ").Append(family.Name).Append(' ').Append(family.Type).Append('\n');
            foreach (var (labels, series) in family.Series)
            {
                if (family.Bounds is { } bounds) WriteHistogram(text, family.Name, labels, series, bounds);
                else WriteLine(text, family.Name, labels, null, series.Value);
            }
        }

        return text.ToString();
    }

    private static void WriteHistogram(StringBuilder text, string name, Labels labels, MetricSeries series,
        IReadOnlyList<double> bounds)
    {
        var buckets = series.Buckets();
        long count = 0;
        for (var i = 0; i < buckets.Length; i++)
        {
            count += buckets[i];
            WriteLine(text, name + "_bucket", labels, i < bounds.Count ? Number(bounds[i]) : "+Inf", count);
        }

        WriteLine(text, name + "_sum", labels, null, series.Value);
        WriteLine(text, name + "_count", labels, null, count);
    }

    private static void WriteLine(StringBuilder text, string name, Labels labels, string? upTo, double value)
    {
        text.Append(name);
        if (labels.Count > 0 || upTo is not null)
        {
            text.Append('{');
            for (var i = 0; i < labels.Count; i++)
            {
                if (i > 0) text.Append(',');
                text.Append(labels[i].Key.Replace('.', '_').Replace('-', '_')).Append("=\"")
                    .Append(Escape(Convert.ToString(labels[i].Value, CultureInfo.InvariantCulture) ?? ""))
                    .Append('"');
            }

            if (upTo is not null) text.Append(labels.Count > 0 ? "," : "").Append("le=\"").Append(upTo).Append('"');
            text.Append('}');
        }

        text.Append(' ').Append(Number(value)).Append('\n');
    }

    private static string Number(double value) => double.IsPositiveInfinity(value) ? "+Inf"
        : double.IsNegativeInfinity(value) ? "-Inf" : value.ToString("R", CultureInfo.InvariantCulture);

    /// <summary>Escapes a text for use between the quotes of a label.</summary>
    public static string Escape(string text) => text.Replace("\\", "\\\\", StringComparison.Ordinal)
        .Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
}
