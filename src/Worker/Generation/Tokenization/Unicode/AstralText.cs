using System.Globalization;

namespace Sluice.Worker.Generation.Tokenization.Unicode;

/// <summary>
/// A text in which one UTF-16 unit stands for each character. .NET's regular expressions see surrogates instead of a
/// character above U+FFFF, and so do not know its category. Each of these characters is replaced by an unusual
/// character of the same category.
/// </summary>
internal sealed class AstralText
{
    private readonly int[] starts;

    public AstralText(ReadOnlySpan<char> text)
    {
        var units = new char[text.Length];
        starts = new int[text.Length + 1];
        var count = 0;
        for (var i = 0; i < text.Length; count++)
        {
            starts[count] = i;
            if (char.IsHighSurrogate(text[i]) && i + 1 < text.Length)
            {
                var code = char.ConvertToUtf32(text[i], text[i + 1]);
                units[count] = Representative(CharUnicodeInfo.GetUnicodeCategory(code));
                i += 2;
            }
            else units[count] = text[i++];
        }

        starts[count] = text.Length;
        Units = units.AsMemory(0, count);
    }

    /// <summary>One unit for each character.</summary>
    public ReadOnlyMemory<char> Units { get; }

    /// <summary>Returns the index in the original text of a unit.</summary>
    public int Start(int unit) => starts[unit];

    private static char Representative(UnicodeCategory category) => category switch
    {
        UnicodeCategory.UppercaseLetter => '\uA640',
        UnicodeCategory.LowercaseLetter => '\uA641',
        UnicodeCategory.TitlecaseLetter => '\u1F88',
        UnicodeCategory.ModifierLetter => '\uA015',
        UnicodeCategory.OtherLetter => '\uA014',
        UnicodeCategory.NonSpacingMark => '\uA66F',
        UnicodeCategory.SpacingCombiningMark => '\uA823',
        UnicodeCategory.EnclosingMark => '\uA670',
        UnicodeCategory.DecimalDigitNumber => '\uA620',
        UnicodeCategory.LetterNumber => '\uA6E6',
        UnicodeCategory.OtherNumber => '\uA830',
        UnicodeCategory.DashPunctuation => '\u1806',
        UnicodeCategory.OpenPunctuation => '\u27EC',
        UnicodeCategory.ClosePunctuation => '\u27ED',
        UnicodeCategory.ConnectorPunctuation => '\u2054',
        UnicodeCategory.OtherPunctuation => '\uA4FE',
        UnicodeCategory.MathSymbol => '\u2A00',
        UnicodeCategory.CurrencySymbol => '\uA838',
        UnicodeCategory.ModifierSymbol => '\uA700',
        UnicodeCategory.OtherSymbol => '\uA490',
        UnicodeCategory.Format => '\u2060',
        UnicodeCategory.PrivateUse => '\uE000',
        _ => '\uFDD1',
    };
}
