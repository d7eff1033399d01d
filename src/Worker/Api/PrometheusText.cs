using System.Globalization;
using System.Text;
using Sluice.Worker.Statistics;

namespace Sluice.Worker.Api;

/// <summary>Writes metrics in the Prometheus text format 0.0.4.</summary>
internal sealed class PrometheusText
{
    private readonly StringBuilder text = new();

    /// <summary>Writes the HELP and TYPE lines of a metric family.</summary>
    public void Family(string name, string type, string help) => text
        .Append("# HELP ").Append(name).Append(' ').Append(help).Append('\n')
        .Append("# TYPE ").Append(name).Append(' ').Append(type).Append('\n');

    /// <summary>Writes one sample.</summary>
    /// <param name="name">The name with its labels.</param>
    /// <param name="value">The value.</param>
    public void Line(string name, double value) => text
        .Append(name).Append(' ').Append(value.ToString("R", CultureInfo.InvariantCulture)).Append('\n');

    /// <summary>Writes the buckets, the sum and the count of a histogram.</summary>
    public void Histogram(string name, string labels, HistogramView view)
    {
        for (var i = 0; i < view.Below.Count; i++)
        {
            var bound = i < view.Bounds.Count ? view.Bounds[i].ToString("R", CultureInfo.InvariantCulture) : "+Inf";
            Line($"{name}_bucket{{{labels},le=\"{bound}\"}}", view.Below[i]);
        }

        Line($"{name}_sum{{{labels}}}", view.Sum);
        Line($"{name}_count{{{labels}}}", view.Below[^1]);
    }

    public override string ToString() => text.ToString();
}
