using System.Text.RegularExpressions;
using Sluice.Testing;

namespace Sluice.Tidy.Tests;

/// <summary>A document: its path from the root, its text, and its lines outside of code blocks.</summary>
internal sealed record Document(string Path, string Name, string Text)
{
    /// <summary>Whether it is one decision (docs/adr/NNNN-title.md).</summary>
    public bool IsDecision =>
        Name.StartsWith("docs/adr/", StringComparison.Ordinal) && char.IsDigit(Name["docs/adr/".Length]);

    /// <summary>Lines outside of code blocks, with their numbers.</summary>
    public IEnumerable<(int Number, string Text)> Prose
    {
        get
        {
            var (code, number) = (false, 0);
            foreach (var line in Text.Split('\n'))
            {
                number++;
                if (line.TrimStart().StartsWith("```", StringComparison.Ordinal)) code = !code;
                else if (!code) yield return (number, line);
            }
        }
    }

    /// <summary>The first cells of the rows of all tables below a heading, or of the whole page.</summary>
    public IEnumerable<string> FirstCells(string? heading = null)
    {
        var inside = heading is null;
        foreach (var (_, line) in Prose)
        {
            if (heading is not null && line.StartsWith("## ", StringComparison.Ordinal)) inside = line[3..] == heading;
            if (inside && line.StartsWith("| ", StringComparison.Ordinal))
                yield return line[2..line.IndexOf(" |", 2, StringComparison.Ordinal)];
        }
    }
}

/// <summary>The documents of the repository, without the results of load tests, which are never edited.</summary>
internal static partial class Documents
{
    private static readonly string[] Folders = ["docs", "deploy", "loadtests", "models"];

    public static IReadOnlyList<Document> All { get; } =
    [
        .. Directory.EnumerateFiles(Repository.Root, "*.md")
            .Concat(Folders.Select(f => Path.Combine(Repository.Root, f))
                .SelectMany(f => Directory.EnumerateFiles(f, "*.md", SearchOption.AllDirectories)))
            .Where(f => !f.Contains("/node_modules/", StringComparison.Ordinal)
                && !f.Contains("/loadtests/results/", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal).Select(Read),
    ];

    /// <param name="path">From the root, or absolute.</param>
    public static Document Of(string path) => Read(Path.Combine(Repository.Root, path));

    private static Document Read(string path) =>
        new(path, Path.GetRelativePath(Repository.Root, path).Replace('\\', '/'), File.ReadAllText(path));

    /// <summary>Words that plain technical English does without; CONTRIBUTING.md says what to write.</summary>
    [GeneratedRegex(
        @"\b(whoever|whichever|nobody|somebody|anew|meanwhile|at once|but for|for ever|in vain|"
            + @"wish(es|ed)?|told|tells?|as of now)\b",
        RegexOptions.IgnoreCase)]
    internal static partial Regex Idioms();
}
