using System.Globalization;
using System.Text;

namespace Sluice.Worker.Logging;

/// <summary>
/// Escapes text for one line of the worker's log. Control characters, line separators and direction marks are
/// escaped, because requests and models contribute parts of the text. Pure.
/// </summary>
internal static class LogLine
{
    /// <summary>Maximum length of a line in characters, except for traces.</summary>
    public const int MaxText = 4096;

    /// <summary>Escapes and truncates a text.</summary>
    /// <param name="text">Any text.</param>
    /// <param name="maxLength">Maximum number of characters of the text.</param>
    public static string Escape(string text, int maxLength = MaxText)
    {
        var kept = text.AsSpan(0, Math.Min(text.Length, maxLength));
        if (kept.Length == text.Length && kept.IndexOfAnyExceptInRange(' ', '~') < 0) return text;
        var line = new StringBuilder(kept.Length + 16);
        foreach (var c in kept)
            if (IsHidden(c)) line.Append(EscapeCharacter(c));
            else line.Append(c);
        if (text.Length > maxLength) line.Append(CultureInfo.InvariantCulture, $"... ({text.Length} characters)");
        return line.ToString();
    }

    private static string EscapeCharacter(char c) => c switch
    {
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        _ => string.Create(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
    };

    private static bool IsHidden(char c) => char.GetUnicodeCategory(c)
        is UnicodeCategory.Control
        or UnicodeCategory.Format
        or UnicodeCategory.LineSeparator
        or UnicodeCategory.ParagraphSeparator;
}
