using System.Text.RegularExpressions;
using Sluice.Testing;

namespace Sluice.Tidy.Tests;

/// <summary>
/// Tests that a file of the sources holds one top-level type, which has the name of the file, and only small companions
/// of it: types of at most <see cref="MaxCompanion"/> lines that other files use only together with the main type.
/// </summary>
public sealed partial class TypesTest
{
    private const int MaxCompanion = 15;

    [Fact]
    public void A_file_holds_one_type_and_its_small_companions()
    {
        string[] folders = ["src", "loadtests/Simulator"];
        var files = folders.Select(f => Path.Combine(Repository.Root, f))
            .SelectMany(f => Directory.EnumerateFiles(f, "*.cs", SearchOption.AllDirectories))
            .Where(f => !Output().IsMatch(f))
            .Select(f => new Source(f, Comment().Replace(File.ReadAllText(f), "")))
            .ToList();
        Assert.NotEmpty(files);
        Assert.Empty(files.SelectMany(f => Violations(f, files)));
    }

    [Theory]
    [InlineData("enum A\n{\n    X,\n}\n\nclass B;\n", "A 4, B 1")]
    [InlineData("public readonly record struct A(\n    int X,\n    int Y = 0);\n", "A 3")]
    [InlineData("[X]\ninternal static class A<T>(string x)\n    : B($\"{x};\");\ninterface C { }\n", "A 2, C 1")]
    [InlineData("public class A\n{\n    class Nested\n    {\n    }\n}\ndelegate Task C();\n", "A 6, C 1")]
    public void Top_level_types_are_found(string code, string expected) =>
        Assert.Equal(expected, string.Join(", ", Types(code.Split('\n')).Select(t => $"{t.Name} {t.Lines}")));

    private static IEnumerable<string> Violations(Source file, IReadOnlyList<Source> files)
    {
        var types = Types(file.Code.Split('\n')).ToList();
        var main = Path.GetFileName(file.Path).Split('.')[0];
        if (types.Count == 0) yield break;
        if (!types.Exists(t => t.Name == main)) yield return $"{file.Path}: no type is named '{main}'";
        foreach (var (name, lines) in types.Where(t => t.Name != main))
        {
            if (lines > MaxCompanion)
                yield return $"{file.Path}: {name} has {lines} lines, a companion at most {MaxCompanion}";
            var user = files.FirstOrDefault(f => f != file && f.Uses(name) && !f.Uses(main));
            if (user is not null)
                yield return $"{file.Path}: {name} needs its own file: {user.Path} uses it without {main}";
        }
    }

    /// <summary>
    /// Finds top-level types by indentation: a declaration starts in the first column, and ends at the first line that
    /// starts with a brace or, without a body, ends with a semicolon.
    /// </summary>
    private static IEnumerable<(string Name, int Lines)> Types(string[] lines)
    {
        for (var i = 0; i < lines.Length; i++)
        {
            var match = Declaration().Match(lines[i]);
            if (!match.Success) continue;
            var start = i;
            var isOneLine = lines[i].TrimEnd().EndsWith('}');
            for (var hasBody = false; !isOneLine && i < lines.Length - 1; i++)
            {
                hasBody |= lines[i].StartsWith('{');
                if (lines[i].StartsWith('}') || (!hasBody && lines[i].TrimEnd().EndsWith(';'))) break;
            }

            yield return (match.Groups["name"].Value, i - start + 1);
        }
    }

    [GeneratedRegex(
        @"^(\w+ )*(class|struct|record|interface|enum|delegate)( struct| class| [\w<>?]+(?= \w+\())? (?<name>\w+)")]
    private static partial Regex Declaration();

    [GeneratedRegex("//.*")]
    private static partial Regex Comment();

    [GeneratedRegex("/(obj|bin)/")]
    private static partial Regex Output();

    [GeneratedRegex(@"\w+")]
    private static partial Regex Word();

    private sealed record Source(string Path, string Code)
    {
        private readonly HashSet<string> words = [.. Word().Matches(Code).Select(m => m.Value)];

        public bool Uses(string word) => words.Contains(word);
    }
}
