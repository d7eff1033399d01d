using System.Text.RegularExpressions;
using Sluice.Testing;

namespace Sluice.Tidy.Tests;

/// <summary>Tests rules for the code base.</summary>
public sealed partial class TidyTest
{
    private const int MaxFile = 430;
    private const int MaxMethod = 60;
    private const int MaxColumns = 120;

    /// <summary>
    /// Lines of tests and load tests that are longer than <see cref="MaxColumns"/>. The limit only falls.
    /// </summary>
    private const int MaxLongLinesOfTests = 925;

    /// <summary>Hits of the words to avoid in the sources, and in the tests and load tests. The limits only fall.</summary>
    private const int MaxWordsOfSources = 3;

    private const int MaxWordsOfTests = 85;

    private static readonly string[] Ours = ["src", "tests", "loadtests", "models", "eng", "deploy", "docs"];

    [Fact]
    public void Files_and_methods_are_short()
    {
        var violations = new List<string>();
        foreach (var file in Files("*.cs"))
        {
            var lines = File.ReadAllLines(file);
            if (lines.Length > MaxFile) violations.Add($"{file}: {lines.Length} lines, at most {MaxFile}");
            foreach (var (name, length) in Methods(lines))
                if (length > MaxMethod)
                    violations.Add($"{file}: {name}: {length} lines, at most {MaxMethod}");
        }

        Assert.True(violations.Count == 0, string.Join('\n', violations));
    }

    [Fact]
    public void Lines_of_sources_have_at_most_120_columns() =>
        Assert.Empty(LongLines(f => IsIn(f, "src")));

    [Fact]
    public void Long_lines_of_tests_become_fewer() =>
        Assert.InRange(LongLines(f => !IsIn(f, "src")).Count(), 0, MaxLongLinesOfTests);

    [Fact]
    public void Idioms_in_sources_and_tests_become_fewer()
    {
        Assert.InRange(Words(f => IsIn(f, "src")), 0, MaxWordsOfSources);
        Assert.InRange(Words(f => !IsIn(f, "src")), 0, MaxWordsOfTests);
    }

    [Fact]
    public void Folders_are_nouns_of_the_domain()
    {
        string[] vague =
            ["Utils", "Utilities", "Common", "Helpers", "Misc", "Services", "Interfaces", "Managers"];
        var folders = Directory.EnumerateDirectories(
            Path.Combine(Repository.Root, "src"),
            "*",
            SearchOption.AllDirectories);
        Assert.DoesNotContain(folders, d => vague.Contains(Path.GetFileName(d)));
    }

    [Fact]
    public void No_file_names_a_machine_a_registry_or_a_secret()
    {
        string[] extensions = [".cs", ".json", ".yaml", ".md", ".props", ".targets", ".csproj", ".lua", ".py", ""];
        var found = Files("*.*").Where(f => extensions.Contains(Path.GetExtension(f)))
            .Where(f => Path.GetFileName(f) != "TidyTest.cs")
            .SelectMany(f => File.ReadLines(f).Select((l, i) => (Line: l, At: $"{f}:{i + 1}")))
            .Where(x => Forbidden().IsMatch(x.Line)).Select(x => x.At);
        Assert.Empty(found);
    }

    [Fact]
    public void Every_project_is_in_the_solution_and_has_a_lock_file()
    {
        var solution = File.ReadAllText(Path.Combine(Repository.Root, "Gateway.sln")).Replace('\\', '/');
        foreach (var project in Files("*.csproj"))
        {
            var path = Path.GetRelativePath(Repository.Root, project).Replace('\\', '/');
            Assert.Contains(path, solution, StringComparison.Ordinal);
            var lockFile = Path.Combine(Path.GetDirectoryName(project)!, "packages.lock.json");
            Assert.True(File.Exists(lockFile), $"{project} has no packages.lock.json");
        }
    }

    private static bool IsIn(string file, string folder) =>
        file.StartsWith(Path.Combine(Repository.Root, folder) + "/", StringComparison.Ordinal);

    private static IEnumerable<string> LongLines(Func<string, bool> isWanted) => Files("*.cs").Where(isWanted)
        .SelectMany(f => File.ReadLines(f).Select((l, i) => (Line: l, At: $"{f}:{i + 1}")))
        .Where(x => x.Line.Length > MaxColumns)
        .Select(x => $"{x.At}: {x.Line.Length} columns, at most {MaxColumns}");

    /// <summary>Counts <see cref="Documents.Idioms"/>.</summary>
    private static int Words(Func<string, bool> isWanted) =>
        Files("*.cs").Concat(Files("*.lua")).Where(isWanted).Where(f => Path.GetFileName(f) != "Documents.cs")
            .Sum(f => Documents.Idioms().Count(File.ReadAllText(f)));

    /// <summary>
    /// Finds methods by indentation, which the analyzers enforce: the body starts at column 4 or 8, and the line above
    /// names the method.
    /// </summary>
    private static IEnumerable<(string Name, int Length)> Methods(string[] lines)
    {
        for (var i = 1; i < lines.Length; i++)
        {
            var indent = lines[i] switch { "    {" => "    ", "        {" => "        ", _ => null };
            var before = lines[i - 1].TrimEnd();
            if (indent is null || !before.EndsWith(')')) continue;
            if (before.EndsWith("new()", StringComparison.Ordinal) || Block().IsMatch(before)) continue;
            var end = Array.IndexOf(lines, indent + "}", i);
            if (end > 0) yield return (lines[i - 1].Trim(), end - i);
        }
    }

    private static IEnumerable<string> Files(string pattern) => Ours.Select(o => Path.Combine(Repository.Root, o))
        .Where(Directory.Exists)
        .SelectMany(o => Directory.EnumerateFiles(o, pattern, SearchOption.AllDirectories))
        .Where(f => !f.Contains("/obj/", StringComparison.Ordinal)
            && !f.Contains("/bin/", StringComparison.Ordinal)
            && !f.Contains("/node_modules/", StringComparison.Ordinal)
            && !f.EndsWith(".onnx", StringComparison.Ordinal)
            && !f.EndsWith(".png", StringComparison.Ordinal));

    [GeneratedRegex(@"registry\.npmjs|api\.nuget\.org|/home/[a-z]+/|/work/|/root/|BEGIN (RSA |EC )?PRIVATE KEY")]
    private static partial Regex Forbidden();

    [GeneratedRegex(@"^\s*(using|if|for|foreach|while|lock|switch|catch|else)\b|\b(class|record|struct)\b")]
    private static partial Regex Block();
}
