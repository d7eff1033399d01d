using System.Text.RegularExpressions;

namespace Sluice.Worker.Generation.Tokenization.PreTokenizers;

/// <summary>
/// Patterns of common models, compiled when Sluice is built: they are four times as fast as interpreted patterns, and
/// loading a model does not compile them. U+017F is 's' in lower case for Oniguruma, but not for .NET.
/// </summary>
internal static partial class KnownPatterns
{
    /// <summary>Limit of one match. Known patterns need time proportional to the text.</summary>
    private const int Limit = PatternSplit.LimitMilliseconds;

    private const string Contraction = "'(?:[sSſtTmMdD]|[rRvV][eE]|[lL][lL])";

    /// <summary>The pattern of GPT-2, which ByteLevel uses.</summary>
    public const string Gpt2Text =
        """'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""";

    private const string Llama3Text =
        """(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"""
        + """|\s*[\r\n]+|\s+(?!\S)|\s+""";

    private const string QwenText =
        """(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"""
        + """|\s*[\r\n]+|\s+(?!\S)|\s+""";

    private const string O200kText =
        """[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"""
        + """(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"""
        + """[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"""
        + """(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+""";

    private const string DeepSeekDigitsText = """\p{N}{1,3}""";

    private const string DeepSeekChineseText = "[一-龥\u3040-ゟ゠-ヿ]+";

    private const string DeepSeekWordsText =
        """[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"""
        + "[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*"
        + """|\s*[\r\n]+|\s+(?!\S)|\s+""";

    private static readonly Dictionary<string, Func<Regex>> Patterns = new(StringComparer.Ordinal)
    {
        [Gpt2Text] = Gpt2,
        [Llama3Text] = Llama3,
        [QwenText] = Qwen,
        [O200kText] = O200k,
        [DeepSeekDigitsText] = DeepSeekDigits,
        [DeepSeekChineseText] = DeepSeekChinese,
        [DeepSeekWordsText] = DeepSeekWords,
    };

    /// <summary>Returns the compiled pattern, or null if it is not a known one.</summary>
    public static Regex? Find(string pattern) => Patterns.GetValueOrDefault(pattern)?.Invoke();

    [GeneratedRegex(Gpt2Text, RegexOptions.CultureInvariant, Limit)]
    private static partial Regex Gpt2();

    [GeneratedRegex(
        Contraction + """|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""",
        RegexOptions.CultureInvariant, Limit)]
    private static partial Regex Llama3();

    [GeneratedRegex(
        Contraction + """|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""",
        RegexOptions.CultureInvariant, Limit)]
    private static partial Regex Qwen();

    [GeneratedRegex(
        """[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?:""" + Contraction + ")?|"
        + """[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?:""" + Contraction + ")?|"
        + """\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+""",
        RegexOptions.CultureInvariant, Limit)]
    private static partial Regex O200k();

    [GeneratedRegex(DeepSeekDigitsText, RegexOptions.CultureInvariant, Limit)]
    private static partial Regex DeepSeekDigits();

    [GeneratedRegex(DeepSeekChineseText, RegexOptions.CultureInvariant, Limit)]
    private static partial Regex DeepSeekChinese();

    [GeneratedRegex(DeepSeekWordsText, RegexOptions.CultureInvariant, Limit)]
    private static partial Regex DeepSeekWords();
}
