using System.Globalization;
using System.Text;
using Sluice.Worker.Generation.Tokenization.Unicode;

namespace Sluice.Worker.Generation.Tokenization.Normalizers;

/// <summary>
/// The normalizer of BERT: removes control characters, separates Chinese characters, removes accents, lower case. The
/// rules are those of the class of that name in Hugging Face's tokenizers.
/// </summary>
internal sealed class BertNormalizer(bool cleanText, bool chineseCharacters, bool stripAccents, bool lowerCase)
    : INormalizer
{
    public string Normalize(string text)
    {
        if (cleanText || chineseCharacters) text = Clean(text);
        if (stripAccents)
            text = TextFunctions.Delete(UnicodeForm.Decompose(text, compatibility: false),
                Characters.IsNonspacingMark);
        return lowerCase ? TextFunctions.ToLower(text) : text;
    }

    private string Clean(string text)
    {
        var result = new StringBuilder(text.Length + 16);
        foreach (var rune in text.EnumerateRunes())
        {
            if (cleanText && IsRemoved(rune)) continue;
            if (cleanText && Rune.IsWhiteSpace(rune)) result.Append(' ');
            else if (chineseCharacters && IsChinese(rune.Value)) result.Append(' ').Append(rune.ToString()).Append(' ');
            else result.Append(rune.ToString());
        }

        return result.ToString();
    }

    /// <summary>The separator of special tokens must stay: see <see cref="ITokenizer.Separator"/>.</summary>
    private static bool IsRemoved(Rune rune) => rune.Value switch
    {
        '\t' or '\n' or '\r' => false,
        0 or 0xFFFD => true,
        _ => Rune.GetUnicodeCategory(rune) switch
        {
            UnicodeCategory.Control or UnicodeCategory.PrivateUse => true,
            UnicodeCategory.Format => !UnicodeForms.Tables.IsNewerThan(8, rune.Value),
            _ => false,
        },
    };

    /// <summary>Chinese characters as BERT defines them, which is not the Unicode property.</summary>
    private static bool IsChinese(int c) =>
        c is (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF) or (>= 0x20000 and <= 0x2A6DF)
            or (>= 0x2A700 and <= 0x2B73F) or (>= 0x2B740 and <= 0x2B81F) or (>= 0x2B920 and <= 0x2CEAF)
            or (>= 0xF900 and <= 0xFAFF) or (>= 0x2F800 and <= 0x2FA1F);
}
