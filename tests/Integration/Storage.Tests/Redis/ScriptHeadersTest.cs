using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;
using Sluice.Storage.Redis;

namespace Sluice.Storage.Tests.Redis;

/// <summary>
/// The header of a script is its contract: the body reads exactly the keys and arguments that it names.
/// </summary>
public sealed partial class ScriptHeadersTest
{
    /// <summary>The most lines of code, without the header.</summary>
    private const int MaxLines = 100;

    private static readonly Assembly Core = typeof(Script).Assembly;

    public static TheoryData<string> Scripts =>
        [.. Core.GetManifestResourceNames()
            .Where(
                n => n.EndsWith(".lua", StringComparison.Ordinal) && !n.EndsWith(".part.lua", StringComparison.Ordinal))
            .Select(n => n[..^4]).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Scripts))]
    public void Keys_and_arguments_match_the_header_in_order(string name)
    {
        var (header, body) = Split(Script.Load(name).Source);
        Assert.StartsWith(
            $"-- {name}: ",
            header.Split('\n').First(l => l.StartsWith("-- ", StringComparison.Ordinal)),
            StringComparison.Ordinal);
        Assert.Equal(Declared(header, "KEYS"), Read(body, "KEYS"));
        Assert.Equal(Declared(header, "ARGV"), Read(body, "ARGV"));
        Assert.Contains("-- RETURN", header, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Scripts))]
    public void A_script_body_is_short(string name) =>
        Assert.InRange(Split(Script.Load(name).Source).Body.Trim().Split('\n').Length, 1, MaxLines);

    [Fact]
    public void There_are_scripts() => Assert.True(Scripts.Count >= 10);

    private static (string Header, string Body) Split(string text)
    {
        var lines = text.Split('\n');
        var end = Array.FindIndex(
            lines,
            l => !l.StartsWith("--", StringComparison.Ordinal) && !l.StartsWith("#!", StringComparison.Ordinal));
        return (string.Join('\n', lines[..end]), string.Join('\n', lines[end..]));
    }

    /// <summary>Returns the names of a section: the first word after the label and after each middle dot.</summary>
    private static string[] Declared(string header, string section)
    {
        var text = Regex.Match(header, $@"^-- {section}\s+(.*(?:\n--  .*)*)", RegexOptions.Multiline).Groups[1].Value;
        if (text.Length == 0 || text.StartsWith("none", StringComparison.Ordinal)) return [];
        return [.. Parts().Replace(text, " ").Split(" · ").Select(p => p.Trim().Split(' ')[0].TrimEnd('.', ','))];
    }

    /// <summary>
    /// Returns the local names that read KEYS[n] or ARGV[n], by n. A list at the end is a local with its first n.
    /// </summary>
    private static string[] Read(string body, string section)
    {
        var names = new SortedDictionary<int, string>();
        foreach (Match m in Regex.Matches(body, @"^local ([\w, ]+?) = (.+)$", RegexOptions.Multiline))
        {
            var left = m.Groups[1].Value.Split(',', StringSplitOptions.TrimEntries);
            var right = m.Groups[2].Value.Split(", ");
            for (var i = 0; i < Math.Min(left.Length, right.Length); i++)
            {
                if (Regex.Match(right[i], $@"{section}\[(\d+)\]") is { Success: true } hit)
                    names[int.Parse(hit.Groups[1].Value, CultureInfo.InvariantCulture)] = left[i];
                else if (section == "ARGV" && right[i] == $"{names.Count + 1}")
                    names[names.Count + 1] = left[i];
            }
        }

        return [.. names.Values];
    }

    [GeneratedRegex(@"\n--\s+")]
    private static partial Regex Parts();
}
