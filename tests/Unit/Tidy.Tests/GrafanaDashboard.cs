using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Sluice.Testing;

namespace Sluice.Tidy.Tests;

/// <summary>
/// A dashboard of <c>deploy/grafana</c>. Its errors follow the rules of Grafana's dashboard-linter that apply to
/// Prometheus, and more: queries in the order of their letters, and panels that do not overlap.
/// </summary>
internal sealed partial class GrafanaDashboard(string file)
{
    private const int Columns = 24;

    /// <summary>The units of Grafana that the dashboards use; panel-units-rule knows them.</summary>
    private static readonly string[] Units =
        ["short", "s", "reqps", "ops", "cps", "bytes", "percentunit", "celsius"];

    private static readonly string[] Sections = ["row"];

    private readonly JsonObject json = JsonNode.Parse(File.ReadAllText(file))!.AsObject();

    /// <summary>All dashboards.</summary>
    public static IReadOnlyList<GrafanaDashboard> All { get; } =
    [
        .. Directory.EnumerateFiles(Path.Combine(Repository.Root, "deploy", "grafana", "dashboards"), "*.json")
            .Select(f => new GrafanaDashboard(f)),
    ];

    /// <summary>The name of the file, without its extension.</summary>
    public string Name { get; } = Path.GetFileNameWithoutExtension(file);

    /// <summary>The id in Grafana's addresses.</summary>
    public string Uid => Text(json["uid"]);

    private IEnumerable<JsonNode> Panels => json["panels"]!.AsArray().Select(p => p!)
        .Where(p => !Sections.Contains(Text(p["type"])));

    /// <summary>Returns the queries of all panels.</summary>
    public IEnumerable<string> Queries() =>
        Panels.SelectMany(p => p["targets"]!.AsArray()).Select(t => Text(t!["expr"]));

    /// <summary>Returns what is wrong.</summary>
    public IEnumerable<string> FindErrors() => OfDashboard().Concat(Panels.SelectMany(OfPanel)).Concat(OfPlaces());

    private IEnumerable<string> OfDashboard()
    {
        if (Uid != $"sluice-{Name}") yield return $"uid is {Uid}";
        if ((bool?)json["editable"] != false) yield return "it is editable";
        if (!Text(json["title"]).StartsWith("Sluice / ", StringComparison.Ordinal) || Text(json["description"]) is "")
            yield return "it has no title or description";
        var variables = json["templating"]!["list"]!.AsArray().ToDictionary(v => Text(v!["name"]), v => v!);
        if (variables.GetValueOrDefault("datasource") is not { } source || Text(source["type"]) != "datasource"
            || Text(source["query"]) != "prometheus" || Text(source["label"]) != "Data source")
            yield return "it has no variable for its data source";
        foreach (var (name, label) in new[] { ("job", "Job"), ("instance", "Instance") })
            if (variables.GetValueOrDefault(name) is not { } variable || Text(variable["label"]) != label)
                yield return $"it has no variable {name}";
        foreach (var (name, variable) in variables.Where(v => Text(v.Value["type"]) == "query"))
            if (Text(variable["datasource"]!["uid"]) != "${datasource}" || (int?)variable["refresh"] != 2
                || Text(variable["allValue"]) != ".+" || (bool?)variable["multi"] != true)
                yield return $"the variable {name} uses another data source, is not refreshed, or has no value for all";
        var titles = Panels.Select(p => Text(p["title"])).ToList();
        foreach (var title in titles.CountBy(t => t).Where(c => c.Value > 1)) yield return $"two panels: {title.Key}";
    }

    private static IEnumerable<string> OfPanel(JsonNode panel)
    {
        var title = Text(panel["title"]);
        if (title is "" || Text(panel["description"]) is "") yield return $"{title}: no title or description";
        if (Text(panel["datasource"]?["uid"]) != "${datasource}") yield return $"{title}: another data source";
        if (!Units.Contains(Text(panel["fieldConfig"]?["defaults"]?["unit"]))) yield return $"{title}: no known unit";
        var targets = panel["targets"]?.AsArray() ?? [];
        if (targets.Count == 0) yield return $"{title}: no query";
        for (var i = 0; i < targets.Count; i++)
        {
            if (Text(targets[i]!["refId"]) != ((char)('A' + i)).ToString()
                || Text(targets[i]!["datasource"]?["uid"]) != "${datasource}")
                yield return $"{title}: query {i} has another letter or data source";
            foreach (var error in OfQuery(Text(targets[i]!["expr"]))) yield return $"{title}: {error}";
        }
    }

    private static IEnumerable<string> OfQuery(string query)
    {
        foreach (Match metric in Metric().Matches(query))
        {
            var (name, labels) = (metric.Groups[1].Value, metric.Groups[2].Value);
            if (!labels.StartsWith("""job=~"$job",instance=~"$instance""", StringComparison.Ordinal))
                yield return $"{name} is not selected by job and instance";
            var isCounter = name.EndsWith("_total", StringComparison.Ordinal) || Histogram().IsMatch(name);
            var isRate = query[..metric.Index].EndsWith("rate(", StringComparison.Ordinal);
            if (isCounter != isRate) yield return $"{name}: counters, and only they, need a rate";
            if (isRate && !query[(metric.Index + metric.Length)..].StartsWith("[$__rate_interval])",
                StringComparison.Ordinal)) yield return $"{name}: the rate needs $__rate_interval";
        }

        if (!Metric().IsMatch(query)) yield return "the query has no metric";
    }

    private IEnumerable<string> OfPlaces()
    {
        var taken = new HashSet<(int X, int Y)>();
        var ids = new HashSet<int>();
        foreach (var panel in json["panels"]!.AsArray())
        {
            var place = panel!["gridPos"]!;
            int x = (int)place["x"]!, y = (int)place["y"]!, w = (int)place["w"]!, h = (int)place["h"]!;
            var cells = from dx in Enumerable.Range(x, w) from dy in Enumerable.Range(y, h) select (dx, dy);
            if (x + w > Columns || cells.Any(c => !taken.Add(c)) || !ids.Add((int)panel["id"]!))
                yield return $"{panel["title"]}: its place or id is in use";
        }
    }

    private static string Text(JsonNode? node) => node?.ToString() ?? "";

    [GeneratedRegex(@"\b((?:sluice_|vllm:)[a-z0-9_]+)(?:\{([^}]*)\})?")]
    private static partial Regex Metric();

    [GeneratedRegex("_(bucket|sum|count)$")]
    private static partial Regex Histogram();
}
