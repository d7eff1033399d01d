using System.Text;

namespace Sluice.Worker.Generation.Chat.Jinja;

/// <summary>
/// String functions as JavaScript defines them. The reference implementation of chat templates is written in it.
/// </summary>
internal static class JavaScriptText
{
    /// <summary>Returns whether a character is white space or a line terminator.</summary>
    public static bool IsSpace(char c) => c == '\uFEFF' || (c != '\u0085' && char.IsWhiteSpace(c));

    /// <summary>Removes white space at both ends.</summary>
    public static string Trim(string text) => TrimStart(TrimEnd(text));

    /// <summary>Removes white space at the start.</summary>
    public static string TrimStart(string text)
    {
        var start = 0;
        while (start < text.Length && IsSpace(text[start])) start++;
        return text[start..];
    }

    /// <summary>Removes white space at the end.</summary>
    public static string TrimEnd(string text)
    {
        var end = text.Length;
        while (end > 0 && IsSpace(text[end - 1])) end--;
        return text[..end];
    }

    /// <summary>Returns the text in upper case. Only Latin characters can become several.</summary>
    public static string ToUpper(string text) => text.ToUpperInvariant()
        .Replace("ß", "SS", StringComparison.Ordinal)
        .Replace("ŉ", "ʼN", StringComparison.Ordinal)
        .Replace("ﬀ", "FF", StringComparison.Ordinal)
        .Replace("ﬁ", "FI", StringComparison.Ordinal)
        .Replace("ﬂ", "FL", StringComparison.Ordinal);

    /// <summary>Returns the text in lower case.</summary>
    public static string ToLower(string text) => text
        .Replace("İ", "i\u0307", StringComparison.Ordinal)
        .ToLowerInvariant();

    /// <summary>Makes the first character of each word of ASCII characters upper case.</summary>
    public static string ToTitle(string text)
    {
        var builder = new StringBuilder(text);
        for (var i = 0; i < text.Length; i++)
            if (IsWord(text[i]) && (i == 0 || !IsWord(text[i - 1])))
                builder[i] = char.ToUpperInvariant(text[i]);
        return builder.ToString();
    }

    /// <summary>Splits a text into its code points. A surrogate without its pair is one of its own.</summary>
    public static List<string> CodePoints(string text)
    {
        var points = new List<string>(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            var length = IsPairAt(text, i) ? 2 : 1;
            points.Add(text.Substring(i, length));
            i += length - 1;
        }

        return points;
    }

    /// <summary>Returns whether the two characters at an index are one code point.</summary>
    public static bool IsPairAt(string text, int index) =>
        index >= 0 && index + 1 < text.Length && char.IsSurrogatePair(text[index], text[index + 1]);

    private static bool IsWord(char c) => char.IsAsciiLetterOrDigit(c) || c == '_';
}
