using System.Globalization;
using System.Text;

namespace Sluice.Shared;

/// <summary>Converts a worker's output to one line that a terminal, a log and JSON can show. Pure.</summary>
public static class PrintableText
{
    /// <summary>
    /// Truncates a text and escapes non-printable characters as <c>\u001b</c>: control characters (a terminal would
    /// execute them, and a log would show forged lines), line and paragraph separators, direction marks and unpaired
    /// surrogates. Tabs are kept.
    /// </summary>
    /// <param name="text">Any text.</param>
    /// <param name="length">Number of characters that are kept; a longer text ends with three dots.</param>
    public static string Escape(string text, int length)
    {
        var cut = text.Length > length;
        var kept = text.AsSpan(0, cut ? length : text.Length);
        // The first half of a surrogate pair at the cut is dropped.
        if (cut && char.IsHighSurrogate(kept[^1])) kept = kept[..^1];
        var first = 0;
        while (first < kept.Length && kept[first] is >= ' ' and <= '~') first++;
        if (first == kept.Length) return cut ? string.Concat(kept, "...") : text;
        var shown = new StringBuilder(kept.Length + 16);
        foreach (var c in kept.EnumerateRunes()) Append(shown, c);
        return (cut ? shown.Append("...") : shown).ToString();
    }

    private static void Append(StringBuilder shown, Rune c)
    {
        // EnumerateRunes returns U+FFFD in place of an unpaired surrogate.
        if (c.Value != '\t' && Rune.GetUnicodeCategory(c) is UnicodeCategory.Control or UnicodeCategory.Format
            or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator)
            shown.Append(CultureInfo.InvariantCulture, $"\\u{c.Value:x4}");
        else shown.Append(c);
    }
}
