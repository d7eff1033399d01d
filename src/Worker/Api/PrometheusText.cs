using System.Globalization;
using System.Text;
using Sluice.Worker.Batching;

namespace Sluice.Worker.Api;

/// <summary>Writes Prometheus' text format 0.0.4.</summary>
internal sealed class PrometheusText
{
    private readonly StringBuilder text = new();

    public void Family(string name, string type, string help) => text.Append("# HELP ").Append(name).Append(' ').Append(help).Append('\n')
        .Append("# TYPE ").Append(name).Append(' ').Append(type).Append('\n');

    /// <param name="name">With its labels.</param>
    /// <param name="value">The sample.</param>
    public void Line(string name, double value) => text.Append(name).Append(' ').Append(value.ToString("R", CultureInfo.InvariantCulture)).Append('\n');

    public void Histogram(string name, string labels, HistogramView view)
    {
        for (var i = 0; i < view.Below.Count; i++)
            Line($"{name}_bucket{{{labels},le=\"{(i < view.Bounds.Count ? view.Bounds[i].ToString("R", CultureInfo.InvariantCulture) : "+Inf")}\"}}", view.Below[i]);
        Line($"{name}_sum{{{labels}}}", view.Sum);
        Line($"{name}_count{{{labels}}}", view.Below[^1]);
    }

    public override string ToString() => text.ToString();
}
