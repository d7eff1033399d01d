using System.Globalization;
using System.Text;

namespace Sluice.Gateway.Observability;

/// <summary>
/// Escapes and truncates texts for one line of the log. Workers, handlers and clients provide parts of these texts.
/// Control characters are therefore escaped, so that a text cannot forge a log line or control a terminal, and the
/// length is limited. Pure.
/// </summary>
public static class LogText
{
    /// <summary>The maximum length of a message, and of each of its fields, in characters.</summary>
    public const int MaxText = 4096;

    /// <summary>The maximum length of an exception with its stack trace, in characters.</summary>
    public const int MaxException = 16 << 10;

    /// <summary>
    /// Escapes control characters, line separators, direction marks and unpaired surrogates, and truncates a longer
    /// text.
    /// </summary>
    /// <param name="text">Any text.</param>
    /// <param name="maxLength">The number of characters to keep.</param>
    public static string Line(string text, int maxLength = MaxText)
    {
        var read = text.AsSpan(0, Math.Min(text.Length, maxLength));
        if (read.Length == text.Length && read.IndexOfAnyExceptInRange(' ', '~') < 0) return text;
        // A surrogate pair is not split.
        if (read.Length < text.Length && char.IsHighSurrogate(read[^1])) read = read[..^1];
        var line = new StringBuilder(read.Length + 16);
        while (!read.IsEmpty)
        {
            var status = Rune.DecodeFromUtf16(read, out var rune, out var used);
            if (status == System.Buffers.OperationStatus.Done && !IsHidden(rune)) line.Append(read[..used]);
            else Escape(line, read[..used]);
            read = read[used..];
        }

        if (text.Length > maxLength) line.Append(CultureInfo.InvariantCulture, $"... ({text.Length} characters)");
        return line.ToString();
    }

    /// <summary>
    /// Escapes and truncates a text of several lines. Each line is indented, so that it does not look like a log entry.
    /// </summary>
    /// <param name="text">Any text.</param>
    /// <param name="maxLength">The number of characters to keep.</param>
    public static string Lines(string text, int maxLength = MaxException)
    {
        var kept = text.Length > maxLength ? text[..maxLength] : text;
        var indented = kept.ReplaceLineEndings("\n").Split('\n').Select(l => "    " + Line(l, maxLength));
        var lines = string.Join(Environment.NewLine, indented);
        return text.Length > maxLength
            ? string.Create(CultureInfo.InvariantCulture, $"{lines}... ({text.Length} characters)")
            : lines;
    }

    private static bool IsHidden(Rune rune) => Rune.GetUnicodeCategory(rune)
        is UnicodeCategory.Control
        or UnicodeCategory.Format
        or UnicodeCategory.LineSeparator
        or UnicodeCategory.ParagraphSeparator;

    private static void Escape(StringBuilder line, ReadOnlySpan<char> characters)
    {
        foreach (var c in characters)
            _ = c switch
            {
                '\n' => line.Append("\\n"),
                '\r' => line.Append("\\r"),
                '\t' => line.Append("\\t"),
                _ => line.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
            };
    }
}
