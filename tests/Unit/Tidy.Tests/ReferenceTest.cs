using System.Text.RegularExpressions;
using System.Xml.Linq;
using Sluice.Testing;

namespace Sluice.Tidy.Tests;

/// <summary>The reference pages agree with the code.</summary>
public sealed partial class ReferenceTest
{
    /// <summary>Read by clients, by convention of the documents.</summary>
    private const string ClientsKey = "SLUICE_KEY";

    private static readonly string[] Nested = ["scaling", "queue", "forwarding", "jobs", "placement", "cors", "model"];

    private static readonly Lazy<IReadOnlyList<string>> Sources = new(() =>
    [
        .. Directory.EnumerateFiles(Path.Combine(Repository.Root, "src"), "*.cs", SearchOption.AllDirectories)
            // The variables of the command line are in command-line.md.
            .Where(f => !f.Contains("/Cli/", StringComparison.Ordinal))
            .Where(f => !f.Contains("/obj/", StringComparison.Ordinal)
                && !f.Contains("/bin/", StringComparison.Ordinal))
            .Select(File.ReadAllText),
    ]);

    [Fact]
    public void The_environment_pages_name_every_setting_that_the_code_reads_and_no_other()
    {
        var read = Sources.Value.SelectMany(s => Setting().Matches(s)).Select(m => m.Value).ToHashSet();
        var documented = new[] { "gateway-environment", "worker-environment" }
            .SelectMany(p => Setting().Matches(Documents.Of($"docs/reference/{p}.md").Text))
            .Select(m => m.Value)
            .ToHashSet();
        read.Remove(ClientsKey);
        documented.Remove(ClientsKey);
        Assert.Equal(read.Order(StringComparer.Ordinal), documented.Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("template", "Template", "ContainerRequirements", "GpuRequirements", "PodPolicy", "KubernetesPolicy")]
    [InlineData("pod", "UserPodSpec")]
    [InlineData(
        "endpoint",
        "Endpoint",
        "ScalePolicy",
        "QueuePolicy",
        "ForwardPolicy",
        "JobPolicy",
        "PlacementPolicy",
        "CorsPolicy",
        "CanaryPolicy",
        "ModelDeclaration")]
    public void The_pages_of_declarations_name_every_field(string page, params string[] types)
    {
        var text = Documents.Of($"docs/reference/{page}.md").Text;
        foreach (var type in types)
            foreach (Match property in Property().Matches(Body(type)))
            {
                var name = char.ToLowerInvariant(property.Groups[1].Value[0]) + property.Groups[1].Value[1..];
                // The field is in the first cell of a row, alone or with others.
                var row = new Regex($@"^\| (`[^|]*)?`(\w+\.)?{name}`[^|]*\|", RegexOptions.Multiline);
                Assert.True(Nested.Contains(name) || row.IsMatch(text), $"{page}.md has no row for {type}.{name}");
            }
    }

    [Fact]
    public void The_page_of_metrics_names_every_metric_and_no_other()
    {
        var gateway = MetricConstants("src/Shared/MetricNames.cs");
        var instruments = Sources.Value.SelectMany(s => Instrument().Matches(s))
            .Select(m => (Constant: m.Groups[2].Value, Name: PrometheusName(gateway[m.Groups[2].Value], m)))
            .ToList();
        // The others are families that the gateway writes as text, and the prefix of their names.
        var written = gateway.Keys.Except(instruments.Select(i => i.Constant)).Select(k => gateway[k])
            .Where(n => !n.EndsWith('_'));
        var made = instruments.Select(i => i.Name).Concat(written)
            .Concat(MetricConstants("src/Worker/Api/MetricNames.cs").Values);
        var documented = Documents.Of("docs/reference/metrics.md").FirstCells().Select(c => MetricName().Match(c))
            .Where(m => m.Success).Select(m => m.Groups[1].Value).ToHashSet();
        Assert.Equal(made.Order(StringComparer.Ordinal), documented.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Metrics_are_named_only_in_the_two_classes_of_metric_names()
    {
        var named = Sources.Value.Where(s => !s.Contains("class MetricNames", StringComparison.Ordinal))
            .SelectMany(s => MetricLiteral().Matches(s)).Select(m => m.Value);
        Assert.Empty(named);
    }

    [Fact]
    public void The_troubleshooting_page_names_only_events_that_exist_and_all_warnings_and_errors()
    {
        var events = Sources.Value.SelectMany(s => LogEvent().Matches(s))
            .Select(m => (Level: m.Groups[1].Value, Name: m.Groups[2].Value))
            .ToList();
        var documented = Documents.Of("docs/operations/troubleshooting.md").FirstCells("By log event")
            .SelectMany(c => Code().Matches(c)).Select(m => m.Groups[1].Value).ToHashSet();
        Assert.Empty(documented.Except(events.Select(e => e.Name)));
        var problems = events.Where(e => e.Level is "Warning" or "Error" or "Critical").Select(e => e.Name);
        Assert.Empty(problems.Except(documented));
    }

    [Theory]
    [InlineData("docs/reference/job-states.md", "States", "JobStatus")]
    [InlineData("docs/reference/job-states.md", "Reasons for waiting", "WaitReason")]
    [InlineData("docs/reference/errors.md", "Errors of jobs", "JobErrors")]
    public void The_codes_of_a_page_are_those_of_the_code(string page, string heading, string type)
    {
        var codes = Constant().Matches(Body(type)).Select(m => m.Groups[1].Value);
        var documented = Documents.Of(page).FirstCells(heading)
            .SelectMany(c => Code().Matches(c))
            .Select(m => m.Groups[1].Value)
            .Where(c => c != "status" && c != "queue.reason");
        Assert.Equal(codes.Order(StringComparer.Ordinal), documented.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Each_row_of_the_fault_matrix_is_a_failure_mode_and_the_reverse()
    {
        var rows = File.ReadLines(Path.Combine(Repository.Root, "eng", "fault-matrix.tsv"))
            .Select(l => l.Split('\t')[0])
            .Where(r => r.Length > 0);
        var documented = Documents.Of("docs/operations/failure-modes.md").FirstCells()
            .SelectMany(c => c.Split(", ")).Where(c => Row().IsMatch(c));
        Assert.Equal(rows.Order(StringComparer.Ordinal), documented.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void The_diagram_of_the_projects_shows_the_references_of_the_project_files()
    {
        var source = Path.Combine(Repository.Root, "src");
        var references = Directory.EnumerateFiles(source, "*.csproj", SearchOption.AllDirectories)
            .SelectMany(p => XDocument.Load(p).Descendants("ProjectReference")
                .Select(r => r.Attribute("Include")!.Value)
                .Select(r => $"{Path.GetFileNameWithoutExtension(p)} --> {Path.GetFileNameWithoutExtension(r)}"));
        var text = Documents.Of("docs/architecture/overview.md").Text;
        var diagram = text[text.IndexOf("## Projects", StringComparison.Ordinal)..];
        diagram = diagram[..diagram.IndexOf("\n## ", 3, StringComparison.Ordinal)];
        var arrows = Arrow().Matches(diagram).Select(m => m.Value);
        Assert.Equal(references.Order(StringComparer.Ordinal), arrows.Order(StringComparer.Ordinal));
    }

    /// <summary>The source of a type, from its name to the line that closes it.</summary>
    private static string Body(string type)
    {
        var declaration = new Regex(
            $@"^public (static |sealed )*(partial )?(class|record|enum) {type}\b",
            RegexOptions.Multiline);
        var source = Sources.Value.Single(declaration.IsMatch);
        var start = declaration.Match(source).Index;
        return source[start..source.IndexOf("\n}", start, StringComparison.Ordinal)];
    }

    /// <summary>The names in a class of constants, by constant. A constant may start with another one.</summary>
    private static Dictionary<string, string> MetricConstants(string file)
    {
        var names = new Dictionary<string, string>();
        foreach (Match m in NameConstant().Matches(File.ReadAllText(Path.Combine(Repository.Root, file))))
            names[m.Groups[1].Value] = names.GetValueOrDefault(m.Groups[2].Value, "") + m.Groups[3].Value;
        return names;
    }

    /// <summary>The name that the text format gives to an instrument of .NET.</summary>
    private static string PrometheusName(string name, Match instrument)
    {
        var (kind, unit) = (instrument.Groups[1].Value, instrument.Groups[3].Value);
        var suffix = unit switch { "s" => "_seconds", "By" => "_bytes", "1" => "_ratio", _ => "" };
        var exported = name.Replace('.', '_') + suffix;
        return kind is "Counter" or "ObservableCounter" ? exported + "_total" : exported;
    }

    [GeneratedRegex("SLUICE_[A-Z0-9_]*[A-Z0-9](?![A-Z0-9_])")]
    private static partial Regex Setting();

    [GeneratedRegex(@"public (?:required )?[\w<>\[\], ?]+ (\w+) \{ get; init; \}")]
    private static partial Regex Property();

    [GeneratedRegex("""Create(\w+?)(?:<\w+>)?\(\s*MetricNames\.(\w+)[^;]*?"(\{\w+\}|s|By|1)"\s*,""")]
    private static partial Regex Instrument();

    [GeneratedRegex("""const string (\w+) = (?:(\w+) \+ )?"(sluice[._][a-z._]+|vllm:[a-z0-9_]+|[a-z_]+)";""")]
    private static partial Regex NameConstant();

    [GeneratedRegex("""
        "(sluice_|vllm:)[a-z0-9_]*[a-z]"|Create(Counter|Gauge|Histogram|Observable\w+|UpDownCounter)(<\w+>)?\(\s*"
        """)]
    private static partial Regex MetricLiteral();

    [GeneratedRegex("`(sluice_[a-z_]+|vllm:[a-z0-9_]+)`")]
    private static partial Regex MetricName();

    [GeneratedRegex(@"\[LoggerMessage\((?:Level = )?LogLevel\.(\w+)[\s\S]*?partial void (\w+)\(")]
    private static partial Regex LogEvent();

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Code();

    [GeneratedRegex("""public const string \w+ = "([A-Z_]+)";""")]
    private static partial Regex Constant();

    [GeneratedRegex(@"^[A-Z]\d+\z")]
    private static partial Regex Row();

    [GeneratedRegex(@"[\w.]+ --> [\w.]+")]
    private static partial Regex Arrow();
}
