using System.Text;
using Sluice.Worker.Generation.Tokenization.Files;

namespace Sluice.Worker.Generation.Tokenization.PreTokenizers;

/// <summary>
/// Translates a regular expression of Oniguruma, which Hugging Face's tokenizers use, to .NET's. Possessive quantifiers
/// become atomic groups. What .NET would read differently is rejected.
/// </summary>
internal sealed class PatternTranslator
{
    private const int MaxLength = 10_000;

    private readonly string pattern;
    private readonly string path;
    private readonly StringBuilder result = new();
    private readonly Stack<int> groups = [];
    private int at;

    /// <summary>The start of the last atom in the result, to which a quantifier applies.</summary>
    private int atom;

    private PatternTranslator(string pattern, string path)
    {
        this.pattern = pattern;
        this.path = path;
    }

    /// <summary>Returns the pattern for .NET.</summary>
    /// <exception cref="TokenizerFileException">The pattern uses a syntax that is not supported.</exception>
    public static string Translate(string pattern, string path)
    {
        if (pattern.Length > MaxLength)
            throw new TokenizerFileException($"{path} has {pattern.Length} characters; expected at most {MaxLength}");
        if (pattern.Any(char.IsSurrogate))
            throw Error(path, pattern, "a character above U+FFFF");
        return new PatternTranslator(pattern, path).Run();
    }

    /// <summary>Returns the error for a pattern that .NET cannot run as Oniguruma does.</summary>
    public static TokenizerFileException Error(string path, string pattern, string element, Exception? inner = null) =>
        new($"{path} is '{pattern}', which uses {element}; supported: groups, lookarounds, classes without nesting, "
            + "Unicode categories, greedy, lazy and possessive quantifiers", inner);

    private string Run()
    {
        while (at < pattern.Length)
            switch (pattern[at])
            {
                case '\\':
                    atom = result.Length;
                    Escape();
                    break;
                case '[':
                    atom = result.Length;
                    Class();
                    break;
                case '(':
                    groups.Push(result.Length);
                    Copy(1);
                    break;
                case ')':
                    atom = groups.TryPop(out var start) ? start : result.Length;
                    Copy(1);
                    break;
                case '?' or '*' or '+':
                    Copy(1);
                    QuantifierEnd();
                    break;
                case '{' when Next == ',':
                    throw Error(path, pattern, "'{,'");
                case '{':
                    Copy(1);
                    while (at < pattern.Length && pattern[at - 1] != '}') Copy(1);
                    // Oniguruma reads these after an interval as a second quantifier.
                    if (at < pattern.Length && pattern[at] is ('+' or '?'))
                        throw Error(path, pattern, $"'}}{pattern[at]}'");
                    break;
                case '^':
                    // Anchors of lines, as in Ruby.
                    Replace("(?:(?<=\n)|\\A)");
                    break;
                case '$':
                    Replace("(?=\n|\\z)");
                    break;
                default:
                    atom = result.Length;
                    Copy(1);
                    break;
            }

        return result.ToString();
    }

    private void QuantifierEnd()
    {
        if (at >= pattern.Length) return;
        if (pattern[at] == '?' && result.Length - atom > 0) Copy(1);
        else if (pattern[at] == '+')
        {
            at++;
            result.Insert(atom, "(?>").Append(')');
        }
    }

    private void Class()
    {
        Copy(1);
        if (at < pattern.Length && pattern[at] == '^') Copy(1);
        for (var first = true; at < pattern.Length && (first || pattern[at] != ']'); first = false)
        {
            if (pattern[at] == '[') throw Error(path, pattern, "a class in a class");
            if (pattern[at] == '&' && Next == '&') throw Error(path, pattern, "an intersection of classes");
            if (pattern[at] == '\\') Escape();
            else Copy(1);
        }

        Copy(1);
    }

    private void Escape()
    {
        switch (Next)
        {
            case 'h' or 'H' or 'R' or 'X' or 'K' or 'O' or 'N' or 'y' or 'Y' or 'g' or 'k' or 'Z' or 'z':
                throw Error(path, pattern, $"'\\{Next}'");
            case 'x' when at + 2 < pattern.Length && pattern[at + 2] == '{':
                var end = pattern.IndexOf('}', at);
                if (end < 0 || !int.TryParse(pattern[(at + 3)..end], System.Globalization.NumberStyles.HexNumber,
                        System.Globalization.CultureInfo.InvariantCulture, out var code) || code > 0xFFFF)
                    throw Error(path, pattern, "a character above U+FFFF");
                result.Append($"\\u{code:X4}");
                at = end + 1;
                break;
            case 'p' or 'P':
                var close = pattern.IndexOf('}', at);
                if (close < 0) throw Error(path, pattern, "an incomplete '\\p'");
                Copy(close + 1 - at);
                break;
            default:
                Copy(2);
                break;
        }
    }

    private void Replace(string text)
    {
        atom = result.Length;
        result.Append(text);
        at++;
    }

    private char Next => at + 1 < pattern.Length ? pattern[at + 1] : '\0';

    private void Copy(int count)
    {
        count = Math.Min(count, pattern.Length - at);
        result.Append(pattern, at, count);
        at += count;
    }
}
