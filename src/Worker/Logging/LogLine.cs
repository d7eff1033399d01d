using System.Globalization;
using System.Text;

namespace Sluice.Worker.Logging;

/// <summary>
/// Text for one line of the worker's log: control characters, line separators and direction marks are escaped, since requests and models write parts
/// of it. Pure.
/// </summary>
internal static class LogLine
{
    /// <summary>Characters of a line, except of traces.</summary>
    public const int MaxText = 4096;

    /// <param name="text">Any text.</param>
    /// <param name="most">Characters that are kept.</param>
    public static string Of(string text, int most = MaxText)
    {
        var kept = text.AsSpan(0, Math.Min(text.Length, most));
        if (kept.Length == text.Length && kept.IndexOfAnyExceptInRange(' ', '~') < 0) return text;
        var line = new StringBuilder(kept.Length + 16);
        foreach (var c in kept)
            if (IsHidden(c)) line.Append(c switch { '\n' => "\\n", '\r' => "\\r", '\t' => "\\t", _ => string.Create(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}") });
            else line.Append(c);
        return text.Length > most ? line.Append(CultureInfo.InvariantCulture, $"... ({text.Length} characters)").ToString() : line.ToString();
    }

    private static bool IsHidden(char c) => char.GetUnicodeCategory(c)
        is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;
}
