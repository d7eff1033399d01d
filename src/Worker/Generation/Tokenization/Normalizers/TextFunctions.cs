using System.Text;

namespace Sluice.Worker.Generation.Tokenization.Normalizers;

/// <summary>Functions of normalizers.</summary>
internal static class TextFunctions
{
    /// <summary>
    /// Returns the text in lower case, as Rust does it: U+0130 has two characters in lower case. Invariant otherwise.
    /// </summary>
    public static string ToLower(string text) =>
        text.ToLowerInvariant().Replace("\u0130", "i\u0307", StringComparison.Ordinal);

    /// <summary>Deletes the characters for which a condition is true.</summary>
    public static string Delete(string text, Func<Rune, bool> isDeleted)
    {
        var result = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
            if (!isDeleted(rune)) result.Append(rune.ToString());
        return result.Length == text.Length ? text : result.ToString();
    }

    /// <summary>Removes white space at the ends.</summary>
    public static string Strip(string text, bool left, bool right)
    {
        if (left) text = text.TrimStart();
        return right ? text.TrimEnd() : text;
    }
}
