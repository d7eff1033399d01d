using System.Text;

namespace Sluice.Worker.Generation.Tokenization.Unicode;

/// <summary>
/// The Unicode normalization forms (Unicode Standard Annex 15). .NET's own function returns its input without ICU,
/// which the worker does not load.
/// </summary>
internal static class UnicodeForm
{
    private const int SyllableBase = 0xAC00;
    private const int LeadBase = 0x1100;
    private const int VowelBase = 0x1161;
    private const int TailBase = 0x11A7;
    private const int Leads = 19;
    private const int Vowels = 21;
    private const int Tails = 28;
    private const int Syllables = Leads * Vowels * Tails;

    /// <summary>Returns NFC, or NFKC.</summary>
    public static string Compose(string text, bool compatibility)
    {
        if (!text.AsSpan().ContainsAnyExceptInRange('\0', compatibility ? '\u009F' : '\u02FF')) return text;
        var tables = UnicodeForms.Tables;
        if (!compatibility)
        {
            var isComposed = true;
            foreach (var rune in text.EnumerateRunes())
                isComposed &= rune.Value < 0x300 || !tables.MayChange(rune.Value);
            if (isComposed) return text;
        }

        return ToText(Composed(Decomposed(text, compatibility, tables), tables));
    }

    /// <summary>Returns NFD, or NFKD.</summary>
    public static string Decompose(string text, bool compatibility) =>
        text.AsSpan().ContainsAnyExceptInRange('\0', '\u009F')
            ? ToText(Decomposed(text, compatibility, UnicodeForms.Tables))
            : text;

    private static List<int> Decomposed(string text, bool compatibility, UnicodeForms tables)
    {
        var codes = new List<int>(text.Length + 16);
        foreach (var rune in text.EnumerateRunes())
        {
            var syllable = rune.Value - SyllableBase;
            if (syllable is >= 0 and < Syllables)
            {
                codes.Add(LeadBase + syllable / (Vowels * Tails));
                codes.Add(VowelBase + syllable % (Vowels * Tails) / Tails);
                if (syllable % Tails != 0) codes.Add(TailBase + syllable % Tails);
            }
            else if (tables.Decomposition(rune.Value, compatibility) is { } parts) codes.AddRange(parts);
            else codes.Add(rune.Value);
        }

        Order(codes, tables);
        return codes;
    }

    /// <summary>Orders each run of marks by their combining classes. Equal classes keep their order.</summary>
    private static void Order(List<int> codes, UnicodeForms tables)
    {
        for (var i = 0; i < codes.Count; i++)
        {
            if (tables.CombiningClass(codes[i]) == 0) continue;
            var end = i;
            while (end < codes.Count && tables.CombiningClass(codes[end]) != 0) end++;
            if (end - i > 1)
            {
                // OrderBy is stable.
                var ordered = codes.GetRange(i, end - i).OrderBy(tables.CombiningClass).ToList();
                for (var k = 0; k < ordered.Count; k++) codes[i + k] = ordered[k];
            }

            i = end;
        }
    }

    private static List<int> Composed(List<int> codes, UnicodeForms tables)
    {
        var result = new List<int>(codes.Count);
        var (starter, lastClass) = (-1, -1);
        foreach (var code in codes)
        {
            var combining = tables.CombiningClass(code);
            // A character is blocked from the starter by one between them with the same or a higher class.
            if (starter >= 0 && (lastClass < combining || lastClass < 0)
                && Pair(result[starter], code, tables) is var composite and >= 0)
            {
                result[starter] = composite;
                continue;
            }

            if (combining == 0)
            {
                starter = result.Count;
                lastClass = -1;
            }
            else lastClass = combining;

            result.Add(code);
        }

        return result;
    }

    private static int Pair(int first, int second, UnicodeForms tables)
    {
        var (lead, vowel) = (first - LeadBase, second - VowelBase);
        if (lead is >= 0 and < Leads && vowel is >= 0 and < Vowels)
            return SyllableBase + (lead * Vowels + vowel) * Tails;
        var (syllable, tail) = (first - SyllableBase, second - TailBase);
        return syllable is >= 0 and < Syllables && syllable % Tails == 0 && tail is > 0 and < Tails
            ? first + tail
            : tables.Composite(first, second);
    }

    private static string ToText(List<int> codes)
    {
        var text = new StringBuilder(codes.Count + 8);
        foreach (var code in codes) text.Append(new Rune(code).ToString());
        return text.ToString();
    }
}
