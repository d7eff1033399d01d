using System.Globalization;
using System.Text;

namespace Sluice.Worker.Generation.Tokenization.Unicode;

/// <summary>Classes of characters as Rust and Hugging Face's tokenizers define them.</summary>
internal static class Characters
{
    /// <summary>
    /// Punctuation of Unicode 8, which Hugging Face's table has. U+166D and U+111C9 have another category since.
    /// </summary>
    public static bool IsPunctuation(Rune rune) =>
        rune.IsAscii
            ? char.IsAsciiLetterOrDigit((char)rune.Value) is false && rune.Value is > 0x20 and < 0x7F
            : (IsPunctuation(Rune.GetUnicodeCategory(rune)) && !UnicodeForms.Tables.IsNewerThan(8, rune.Value))
                || rune.Value is 0x166D or 0x111C9;

    /// <summary>
    /// Nonspacing marks of Unicode 8, such as accents. Some characters have another category since.
    /// </summary>
    public static bool IsNonspacingMark(Rune rune) => rune.Value switch
    {
        0x1734 or 0x1171E => true,
        0x1885 or 0x1886 or 0xA9BD or 0x111C9 => false,
        _ => Rune.GetUnicodeCategory(rune) == UnicodeCategory.NonSpacingMark
            && !UnicodeForms.Tables.IsNewerThan(8, rune.Value),
    };

    /// <summary>Marks of all kinds of Unicode 9.</summary>
    public static bool IsMark(Rune rune) => rune.Value switch
    {
        0x1CF2 or 0x1CF3 => true,
        0x111C9 => false,
        _ => Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark
                or UnicodeCategory.EnclosingMark
            && !UnicodeForms.Tables.IsNewerThan(9, rune.Value),
    };

    private static bool IsPunctuation(UnicodeCategory category) =>
        category is UnicodeCategory.ConnectorPunctuation or UnicodeCategory.DashPunctuation
            or UnicodeCategory.OpenPunctuation or UnicodeCategory.ClosePunctuation
            or UnicodeCategory.InitialQuotePunctuation or UnicodeCategory.FinalQuotePunctuation
            or UnicodeCategory.OtherPunctuation;

    /// <summary>Numbers of all kinds, such as digits, Roman numerals and fractions.</summary>
    public static bool IsNumeric(Rune rune) => Rune.GetUnicodeCategory(rune)
        is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber;

    /// <summary>Characters of words: Rust's <c>\w</c>.</summary>
    public static bool IsWord(Rune rune) => Rune.GetUnicodeCategory(rune) switch
    {
        UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
            or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter or UnicodeCategory.NonSpacingMark
            or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark
            or UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber
            or UnicodeCategory.ConnectorPunctuation => true,
        // Letters in circles and squares, which Unicode counts as alphabetic, and joiners.
        _ => rune.Value is (>= 0x24B6 and <= 0x24E9) or (>= 0x1F130 and <= 0x1F149) or (>= 0x1F150 and <= 0x1F169)
            or (>= 0x1F170 and <= 0x1F189) or 0x200C or 0x200D,
    };
}
