using System.Globalization;
using System.Text;

namespace Sluice.Gateway.Operations;

/// <summary>
/// Text for one line of the log. Workers, handlers and clients write parts of it, so control characters are escaped (a line cannot be forged, a
/// terminal is not controlled) and its length is bounded. Pure.
/// </summary>
public static class LogText
{
    /// <summary>Characters of a message, and of each of its fields.</summary>
    public const int MaxText = 4096;

    /// <summary>Characters of an exception with its stack trace.</summary>
    public const int MaxException = 16 << 10;

    /// <summary>Escapes control characters, line separators, direction marks and unpaired surrogates, and cuts what is longer.</summary>
    /// <param name="text">Any text.</param>
    /// <param name="most">Characters that are read of it.</param>
    public static string Line(string text, int most = MaxText)
    {
        var read = text.AsSpan(0, Math.Min(text.Length, most));
        if (read.Length == text.Length && read.IndexOfAnyExceptInRange(' ', '~') < 0) return text;
        // A surrogate pair is not cut in the middle.
        if (read.Length < text.Length && char.IsHighSurrogate(read[^1])) read = read[..^1];
        var line = new StringBuilder(read.Length + 16);
        while (!read.IsEmpty)
        {
            var status = Rune.DecodeFromUtf16(read, out var rune, out var used);
            if (status == System.Buffers.OperationStatus.Done && !IsHidden(rune)) line.Append(read[..used]);
            else Escape(line, read[..used]);
            read = read[used..];
        }

        if (text.Length > most) line.Append(CultureInfo.InvariantCulture, $"... ({text.Length} characters)");
        return line.ToString();
    }

    /// <summary>The same for a text of several lines, each indented so that it is no entry of the log.</summary>
    public static string Lines(string text, int most = MaxException)
    {
        var cut = text.Length > most ? text[..most] : text;
        var lines = string.Join(Environment.NewLine, cut.ReplaceLineEndings("\n").Split('\n').Select(l => "    " + Line(l, most)));
        return text.Length > most ? string.Create(CultureInfo.InvariantCulture, $"{lines}... ({text.Length} characters)") : lines;
    }

    private static bool IsHidden(Rune rune) => Rune.GetUnicodeCategory(rune)
        is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;

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
