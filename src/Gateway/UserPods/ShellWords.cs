using System.Text;

namespace Sluice.Gateway.UserPods;

/// <summary>
/// Splits and joins the arguments of RunPod's field <c>args</c>, which is one text. Pure. Words are separated by
/// spaces; quotes and backslashes have the meaning that a POSIX shell gives them.
/// </summary>
internal static class ShellWords
{
    /// <summary>Inside double quotes, a backslash is kept before all other characters (POSIX, 2.2.3).</summary>
    private const string Escaped = "$`\"\\";

    /// <summary>Returns the words; null if a quote is not closed.</summary>
    public static IReadOnlyList<string>? Split(string text)
    {
        var (words, word, quote, inWord) = (new List<string>(), new StringBuilder(), '\0', false);
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            if (c == '\\' && i + 1 < text.Length && (quote == '\0' || (quote == '"' && Escaped.Contains(text[i + 1]))))
            {
                word.Append(text[++i]);
                inWord = true;
            }
            else if (quote != '\0')
            {
                if (c == quote) quote = '\0';
                else word.Append(c);
            }
            else if (c is '\'' or '"')
            {
                (quote, inWord) = (c, true);
            }
            else if (!char.IsWhiteSpace(c))
            {
                word.Append(c);
                inWord = true;
            }
            else if (inWord)
            {
                words.Add(word.ToString());
                word.Clear();
                inWord = false;
            }
        }

        if (quote != '\0') return null;
        if (inWord) words.Add(word.ToString());
        return words;
    }

    /// <summary>Returns a text that <see cref="Split"/> splits into these words.</summary>
    public static string Join(IEnumerable<string> words) => string.Join(' ', words.Select(w =>
        w.Length > 0 && !w.Any(c => char.IsWhiteSpace(c) || c is '\'' or '"' or '\\')
            ? w : $"'{w.Replace("'", "'\\''", StringComparison.Ordinal)}'"));
}
