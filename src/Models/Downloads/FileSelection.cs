using System.Text.RegularExpressions;

namespace Sluice.Models.Downloads;

/// <summary>Selects files by the patterns of a declaration. Pure.</summary>
public static class FileSelection
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(1);

    /// <summary>Whether a path matches one of the patterns. Without patterns, every path does.</summary>
    /// <param name="patterns">
    /// Paths with <c>*</c> (any characters except <c>/</c>) and <c>**</c> (any characters).
    /// </param>
    /// <param name="path">The path, with <c>/</c> between its parts.</param>
    public static bool Selects(IReadOnlyList<string> patterns, string path) => patterns.Count == 0
        || patterns.Any(p => Regex.IsMatch(path, ToRegex(p), RegexOptions.NonBacktracking, Timeout));

    private static string ToRegex(string pattern) => "^" + Regex.Escape(pattern)
        .Replace(@"\*\*", ".*", StringComparison.Ordinal)
        .Replace(@"\*", "[^/]*", StringComparison.Ordinal) + @"\z";
}
