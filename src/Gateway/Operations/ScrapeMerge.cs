using System.Text;

namespace Sluice.Gateway.Operations;

/// <summary>What one worker answered to a scrape; <paramref name="Text"/> is null when it did not.</summary>
public sealed record Scrape(string Endpoint, string Pod, string? Text);

/// <summary>
/// Puts the scrapes of several workers into one: each family once, each sample with the labels <c>endpoint</c> and <c>pod</c>. Pure.
/// A worker may be any program, so what cannot be read, or has another type than the family that is there, is left out and counted.
/// </summary>
public static class ScrapeMerge
{
    /// <summary>Families of this begin are ours to tell.</summary>
    private const string Own = "sluice_worker_scrape_";

    private const string Up = Own + "up";
    private const string LeftOut = Own + "left_out_lines";

    public static string Write(IReadOnlyList<Scrape> scrapes)
    {
        var families = new SortedDictionary<string, Family>(StringComparer.Ordinal);
        var (up, leftOut) = (new StringBuilder(), new StringBuilder());
        foreach (var scrape in scrapes.OrderBy(s => s.Endpoint, StringComparer.Ordinal).ThenBy(s => s.Pod, StringComparer.Ordinal))
        {
            var labels = $"endpoint=\"{PrometheusText.Escape(scrape.Endpoint)}\",pod=\"{PrometheusText.Escape(scrape.Pod)}\"";
            up.Append(Up).Append('{').Append(labels).Append("} ").Append(scrape.Text is null ? '0' : '1').Append('\n');
            var missed = scrape.Text is null ? 0 : Take(scrape.Text, labels, families);
            if (missed > 0) leftOut.Append(LeftOut).Append('{').Append(labels).Append("} ").Append(missed).Append('\n');
        }

        var text = new StringBuilder();
        Head(text, Up, "gauge", "1: the worker answered with its metrics, 0: it did not within the time.").Append(up);
        if (leftOut.Length > 0)
            Head(text, LeftOut, "gauge", "Lines of the worker's metrics that are not here: unreadable, or of a family that has another type.").Append(leftOut);
        foreach (var (name, family) in families)
        {
            if (family.Samples.Length == 0) continue;
            Head(text, name, family.Type, family.Help).Append(family.Samples);
        }

        return text.ToString();
    }

    /// <summary>Takes a worker's lines; how many could not be taken.</summary>
    private static int Take(string text, string labels, SortedDictionary<string, Family> families)
    {
        var (types, helps, leftOut) = (new Dictionary<string, string>(), new Dictionary<string, string>(), 0);
        foreach (var raw in text.AsSpan().EnumerateLines())
        {
            var line = raw.Trim();
            if (line.IsEmpty) continue;
            if (line[0] == '#')
            {
                Comment(line, "# TYPE ", types);
                Comment(line, "# HELP ", helps);
                continue;
            }

            if (SampleLine.Read(line) is not { } sample)
            {
                leftOut++;
                continue;
            }

            var name = FamilyOf(sample.Name, types);
            var type = types.GetValueOrDefault(name, "untyped");
            if (!families.TryGetValue(name, out var family)) families[name] = family = new Family(type, helps.GetValueOrDefault(name, ""));
            if (family.Type != type || name.StartsWith(Own, StringComparison.Ordinal)) leftOut++;
            else sample.Write(family.Samples, labels);
        }

        return leftOut;
    }

    private static void Comment(ReadOnlySpan<char> line, string mark, Dictionary<string, string> found)
    {
        if (!line.StartsWith(mark, StringComparison.Ordinal)) return;
        var rest = line[mark.Length..].Trim();
        var end = rest.IndexOf(' ');
        var (name, what) = end < 0 ? (rest.ToString(), "") : (rest[..end].ToString(), rest[(end + 1)..].Trim().ToString());
        if (!SampleLine.IsName(name)) return;
        if (mark != "# TYPE " || what is "counter" or "gauge" or "histogram" or "summary") found.TryAdd(name, what);
    }

    /// <summary>A histogram's and a summary's samples have names of their own.</summary>
    private static string FamilyOf(string name, Dictionary<string, string> types)
    {
        if (types.ContainsKey(name)) return name;
        foreach (var suffix in new[] { "_bucket", "_sum", "_count" })
            if (name.EndsWith(suffix, StringComparison.Ordinal) && types.GetValueOrDefault(name[..^suffix.Length]) is "histogram" or "summary")
                return name[..^suffix.Length];
        return name;
    }

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
