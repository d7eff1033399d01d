using System.Globalization;
using System.Text;
using Sluice.Worker.Statistics;

namespace Sluice.Worker.Api;

/// <summary>
/// Writes metrics in the Prometheus text format 0.0.4. ADR 75 says why prometheus-net does not write them here.
/// </summary>
internal sealed class PrometheusText
{
    private readonly StringBuilder text = new();
    private string family = "";

    /// <summary>Starts a metric family: writes its HELP and TYPE lines. The samples that follow belong to it.</summary>
    public void StartFamily(string name, string type, string help)
    {
        family = name;
        text.Append("# HELP ").Append(name).Append(' ').Append(help).Append('\n')
            .Append("# TYPE ").Append(name).Append(' ').Append(type).Append('\n');
    }

    /// <summary>Writes one sample.</summary>
    public void WriteSample(double value, params ReadOnlySpan<(string Name, string Value)> labels) =>
        WriteLine("", labels, null, value);

    /// <summary>Writes the buckets, the sum and the count of a histogram.</summary>
    public void WriteHistogram(HistogramView view, params ReadOnlySpan<(string Name, string Value)> labels) =>
        WriteHistogram(view, Number, labels);

    /// <summary>Writes the buckets, the sum and the count of a histogram.</summary>
    /// <param name="view">The histogram.</param>
    /// <param name="format">Formats the bounds. Up to version 2, Prometheus compares them as texts.</param>
    /// <param name="labels">The labels of the samples.</param>
    public void WriteHistogram(
        HistogramView view,
        Func<double, string> format,
        params ReadOnlySpan<(string Name, string Value)> labels)
    {
        for (var i = 0; i < view.Below.Count; i++)
            WriteLine("_bucket", labels, i < view.Bounds.Count ? format(view.Bounds[i]) : "+Inf", view.Below[i]);
        WriteLine("_sum", labels, null, view.Sum);
        WriteLine("_count", labels, null, view.Below[^1]);
    }

    public override string ToString() => text.ToString();

    private void WriteLine(string suffix, ReadOnlySpan<(string Name, string Value)> labels, string? bound, double value)
    {
        text.Append(family).Append(suffix);
        var before = '{';
        foreach (var (name, labelValue) in labels)
        {
            text.Append(before).Append(name).Append("=\"").Append(Escape(labelValue)).Append('"');
            before = ',';
        }

        if (bound is not null)
        {
            text.Append(before).Append("le=\"").Append(bound).Append('"');
            before = ',';
        }

        if (before == ',') text.Append('}');
        text.Append(' ').Append(Number(value)).Append('\n');
    }

    /// <summary>
    /// Escapes a text for use between the quotes of a label. Texts of nvidia-smi and of models may have any character.
    /// </summary>
    private static string Escape(string text) => text.Replace("\\", "\\\\", StringComparison.Ordinal)
        .Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);

    private static string Number(double value) => value.ToString("R", CultureInfo.InvariantCulture);
}
