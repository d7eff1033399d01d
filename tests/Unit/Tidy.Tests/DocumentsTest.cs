using System.Globalization;
using System.Text.RegularExpressions;
using Sluice.Testing;

namespace Sluice.Tidy.Tests;

/// <summary>The documents' form: length, columns, readers, links, words, decisions.</summary>
public sealed partial class DocumentsTest
{
    private const int MaxReadmeLines = 150;
    private const int MaxColumns = 120;

    private static readonly string[] Sections = ["Context", "Decision", "Evidence", "Alternatives", "Status"];

    [Fact]
    public void The_readme_has_at_most_150_lines() =>
        Assert.InRange(File.ReadAllLines(Path.Combine(Repository.Root, "README.md")).Length, 1, MaxReadmeLines);

    [Fact]
    public void Lines_of_documents_have_at_most_120_columns()
    {
        // A row of a table, a line of code and a single long word (a link) cannot be wrapped.
        var tooLong = Documents.All.SelectMany(d => d.Prose.Where(l => l.Text.Length > MaxColumns
            && !l.Text.StartsWith('|') && l.Text.Trim().Contains(' ', StringComparison.Ordinal))
            .Select(l => $"{d.Name}:{l.Number}: {l.Text.Length} columns, at most {MaxColumns}"));
        Assert.Empty(tooLong);
    }

    [Fact]
    public void Each_page_names_its_reader_and_the_result_in_its_first_lines()
    {
        foreach (var page in Documents.All)
        {
            if (!page.Name.StartsWith("docs/", StringComparison.Ordinal) || page.IsDecision) continue;
            var lines = page.Text.Split('\n').Where(l => l.Trim().Length > 0).Take(3).ToList();
            Assert.StartsWith("# ", lines[0], StringComparison.Ordinal);
            Assert.True(
                lines[1].StartsWith("For ", StringComparison.Ordinal),
                $"{page.Name}: the line after the title begins with 'For'");
            Assert.True(Result().IsMatch(lines[1] + ' ' + lines[2]),
                $"{page.Name}: the first two lines say 'After this page ...'");
        }
    }

    [Fact]
    public void Links_between_documents_lead_to_a_file_and_a_heading()
    {
        foreach (var document in Documents.All)
            foreach (Match link in Link().Matches(document.Text))
            {
                var (target, anchor) = (link.Groups[1].Value, link.Groups[2].Value);
                if (target.Contains("://", StringComparison.Ordinal)) continue;
                var folder = Path.GetDirectoryName(document.Path)!;
                var path = target.Length == 0 ? document.Path : Path.GetFullPath(Path.Combine(folder, target));
                Assert.True(Path.Exists(path), $"{document.Name} links to {target}");
                if (anchor.Length == 0) continue;
                var anchors = Documents.Of(path).Prose.Where(l => l.Text.StartsWith('#')).Select(l => Anchor(l.Text));
                Assert.True(
                    anchors.Contains(anchor),
                    $"{document.Name} links to {target}#{anchor}, and there is no such heading");
            }
    }

    [Fact]
    public void Documents_have_no_marks_of_an_unfinished_merge() =>
        Assert.Empty(Documents.All.SelectMany(d => d.Prose.Where(l => MergeMark().IsMatch(l.Text))
            .Select(l => $"{d.Name}:{l.Number}: {l.Text}")));

    [Fact]
    public void Documents_have_none_of_the_idioms_that_we_avoid()
    {
        var hits = Documents.All.SelectMany(d => d.Text.Split('\n').SelectMany((line, i) => Documents.Idioms().Matches(line)
            .Select(m => $"{d.Name}:{i + 1}: {m.Value}")));
        Assert.Empty(hits);
    }

    [Fact]
    public void Each_decision_has_five_sections_and_is_listed_under_its_number()
    {
        var list = Documents.Of("docs/adr/README.md").Text;
        var decisions = Documents.All.Where(d => d.IsDecision).OrderBy(d => d.Name, StringComparer.Ordinal).ToList();
        Assert.NotEmpty(decisions);
        var numbers = decisions.Select(d => int.Parse(Path.GetFileName(d.Path)[..4], CultureInfo.InvariantCulture));
        Assert.Distinct(numbers);
        foreach (var (decision, number) in decisions.Zip(numbers))
        {
            Assert.StartsWith($"# ADR {number}: ", decision.Text, StringComparison.Ordinal);
            Assert.Equal(Sections, Section().Matches(decision.Text).Select(m => m.Groups[1].Value));
            Assert.Contains($"| {number} | [", list, StringComparison.Ordinal);
            Assert.Contains($"]({Path.GetFileName(decision.Path)})", list, StringComparison.Ordinal);
        }

        var rows = list.Split('\n').Count(l => l.StartsWith("| ", StringComparison.Ordinal) && char.IsDigit(l[2]));
        Assert.Equal(decisions.Count, rows);
    }

    /// <summary>The anchor of a heading, as GitHub makes it.</summary>
    private static string Anchor(string heading) =>
        NoAnchor().Replace(heading.TrimStart('#').Trim().ToLowerInvariant(), "").Replace(' ', '-');

    [GeneratedRegex("^(<{7}|={7}|>{7})( |$)")]
    private static partial Regex MergeMark();

    [GeneratedRegex(@"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")]
    private static partial Regex Link();

    [GeneratedRegex("[^a-z0-9 _-]")]
    private static partial Regex NoAnchor();

    [GeneratedRegex(@"\bAfter this page\b")]
    private static partial Regex Result();

    [GeneratedRegex("^## (.+)$", RegexOptions.Multiline)]
    private static partial Regex Section();
}
