using System.Text;
using Sluice.Shared;

namespace Sluice.Gateway.Observability;

/// <summary>The response of one worker to a scrape; <paramref name="Text"/> is null if it did not respond.</summary>
public sealed record Scrape(string Endpoint, string Pod, string? Text);

/// <summary>
/// Merges the scrapes of several workers into one: each family appears once, and each sample has the labels
/// <c>endpoint</c> and <c>pod</c>. A worker may be any program, so lines that cannot be parsed, or whose family has
/// another type, are omitted and counted. Pure.
/// </summary>
public static class ScrapeMerge
{
    /// <summary>The prefix of the families that only the gateway writes.</summary>
    private const string Own = MetricNames.WorkerScrapePrefix;

    private const string Up = MetricNames.WorkerScrapeUp;
    private const string LeftOut = MetricNames.WorkerScrapeLeftOutLines;

    /// <summary>Merges the scrapes.</summary>
    public static string Write(IReadOnlyList<Scrape> scrapes)
    {
        var families = new SortedDictionary<string, Family>(StringComparer.Ordinal);
        var (up, leftOut) = (new StringBuilder(), new StringBuilder());
        var ordered = scrapes.OrderBy(s => s.Endpoint, StringComparer.Ordinal)
            .ThenBy(s => s.Pod, StringComparer.Ordinal);
        foreach (var scrape in ordered)
        {
            var labels = $"endpoint=\"{Escape(scrape.Endpoint)}\",pod=\"{Escape(scrape.Pod)}\"";
            up.Append(Up).Append('{').Append(labels).Append("} ").Append(scrape.Text is null ? '0' : '1').Append('\n');
            var missed = scrape.Text is null ? 0 : AddSamples(scrape.Text, labels, families);
            if (missed > 0) leftOut.Append(LeftOut).Append('{').Append(labels).Append("} ").Append(missed).Append('\n');
        }

        var text = new StringBuilder();
        Head(text, Up, "gauge", "1 if the worker returned its metrics, 0 if it did not within the timeout.").Append(up);
        if (leftOut.Length > 0)
            Head(text, LeftOut, "gauge",
                "Omitted lines of the worker's metrics: not parseable, or of a family that has another type.")
                .Append(leftOut);
        foreach (var (name, family) in families)
        {
            if (family.Samples.Length == 0) continue;
            Head(text, name, family.Type, family.Help).Append(family.Samples);
        }

        return text.ToString();
    }

    /// <summary>Adds the samples of a worker to the families. Returns the number of omitted lines.</summary>
    private static int AddSamples(string text, string labels, SortedDictionary<string, Family> families)
    {
        var (types, helps, leftOut) = (new Dictionary<string, string>(), new Dictionary<string, string>(), 0);
        foreach (var raw in text.AsSpan().EnumerateLines())
        {
            var line = raw.Trim();
            if (line.IsEmpty) continue;
            if (line[0] == '#')
            {
                ReadComment(line, "# TYPE ", types);
                ReadComment(line, "# HELP ", helps);
                continue;
            }

            if (SampleLine.Read(line) is not { } sample)
            {
                leftOut++;
                continue;
            }

            var name = FamilyOf(sample.Name, types);
            var type = types.GetValueOrDefault(name, "untyped");
            if (!families.TryGetValue(name, out var family))
                families[name] = family = new Family(type, helps.GetValueOrDefault(name, ""));
            if (family.Type != type || name.StartsWith(Own, StringComparison.Ordinal)) leftOut++;
            else sample.Write(family.Samples, labels);
        }

        return leftOut;
    }

    private static void ReadComment(ReadOnlySpan<char> line, string mark, Dictionary<string, string> found)
    {
        if (!line.StartsWith(mark, StringComparison.Ordinal)) return;
        var rest = line[mark.Length..].Trim();
        var end = rest.IndexOf(' ');
        var (name, value) = end < 0
            ? (rest.ToString(), "")
            : (rest[..end].ToString(), rest[(end + 1)..].Trim().ToString());
        if (!SampleLine.IsName(name)) return;
        if (mark != "# TYPE " || value is "counter" or "gauge" or "histogram" or "summary") found.TryAdd(name, value);
    }

    /// <summary>
    /// Returns the family of a sample. The samples of a histogram or summary have the family's name with a suffix.
    /// </summary>
    private static string FamilyOf(string name, Dictionary<string, string> types)
    {
        if (types.ContainsKey(name)) return name;
        foreach (var suffix in new[] { "_bucket", "_sum", "_count" })
            if (name.EndsWith(suffix, StringComparison.Ordinal)
                && types.GetValueOrDefault(name[..^suffix.Length]) is "histogram" or "summary")
                return name[..^suffix.Length];
        return name;
    }

    /// <summary>Escapes a text for use between the quotes of a label.</summary>
    private static string Escape(string text) => text.Replace("\\", "\\\\", StringComparison.Ordinal)
        .Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);

    private static StringBuilder Head(StringBuilder text, string name, string type, string help)
    {
        if (help.Length > 0) text.Append("# HELP ").Append(name).Append(' ').Append(help).Append('\n');
        return text.Append("# TYPE ").Append(name).Append(' ').Append(type).Append('\n');
    }

    private sealed record Family(string Type, string Help)
    {
        public StringBuilder Samples { get; } = new();
    }
}
