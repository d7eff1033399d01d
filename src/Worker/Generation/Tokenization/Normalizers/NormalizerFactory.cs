using Sluice.Worker.Generation.Tokenization.Files;
using Sluice.Worker.Generation.Tokenization.PreTokenizers;
using Sluice.Worker.Generation.Tokenization.Unicode;

namespace Sluice.Worker.Generation.Tokenization.Normalizers;

/// <summary>Creates the normalizer that a tokenizer file describes.</summary>
internal static class NormalizerFactory
{
    private const string Supported = "Sequence, NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, Replace, "
        + "Prepend, BertNormalizer, Precompiled";

    /// <summary>Creates the normalizer of the field <c>normalizer</c>.</summary>
    /// <exception cref="TokenizerFileException">It is not supported.</exception>
    public static INormalizer Create(JsonPart? part) =>
        part is { } given ? Create(given) : new NormalizerSequence([]);

    /// <summary>
    /// Returns the largest factor by which a normalizer makes the UTF-8 of a text shorter: 3 for NFC, which composes
    /// the three letters of a Hangul syllable. Null if it can remove any number of characters.
    /// </summary>
    public static int? Shrinks(JsonPart? part) => part?.Type switch
    {
        null => 1,
        "NFC" => 3,
        "Sequence" => part.Value.List("normalizers").Aggregate((int?)1, (all, next) => all * Shrinks(next)),
        _ => null,
    };

    private static INormalizer Create(JsonPart part)
    {
        switch (part.Type)
        {
            case "Sequence":
                return new NormalizerSequence([.. part.List("normalizers").Select(Create)]);
            case "BertNormalizer":
                var lowerCase = part.Flag("lowercase", true);
                return new BertNormalizer(part.Flag("clean_text", true), part.Flag("handle_chinese_chars", true),
                    part.Flag("strip_accents", lowerCase), lowerCase);
            case "Precompiled":
                return Precompiled.Create(part.Get("precompiled_charsmap"));
            case "Replace":
                return Replace(part);
            default:
                return new FunctionNormalizer(Function(part));
        }
    }

    private static Func<string, string> Function(JsonPart part)
    {
        switch (part.Type)
        {
            case "NFC":
                return text => UnicodeForm.Compose(text, compatibility: false);
            case "NFKC":
                return text => UnicodeForm.Compose(text, compatibility: true);
            case "NFD":
                return text => UnicodeForm.Decompose(text, compatibility: false);
            case "NFKD":
                return text => UnicodeForm.Decompose(text, compatibility: true);
            case "Lowercase":
                return TextFunctions.ToLower;
            case "StripAccents":
                return text => TextFunctions.Delete(text, Characters.IsMark);
            case "Strip":
                var (left, right) = (part.Flag("strip_left", true), part.Flag("strip_right", true));
                return text => TextFunctions.Strip(text, left, right);
            case "Prepend":
                var prefix = part.Text("prepend");
                return text => text.Length == 0 ? text : prefix + text;
            default:
                throw part.Unsupported(Supported);
        }
    }

    private static FunctionNormalizer Replace(JsonPart part)
    {
        var pattern = part.Get("pattern");
        var content = part.Text("content");
        if (pattern.Find("String") is { } found)
        {
            var text = found.AsText();
            return new FunctionNormalizer(t =>
                text.Length == 0 ? t : t.Replace(text, content, StringComparison.Ordinal));
        }

        var regex = pattern.Get("Regex");
        var split = new PatternSplit(PatternSplit.Compile(regex.AsText(), regex.Path), regex.Path,
            SplitBehavior.Isolated);
        return new FunctionNormalizer(t => split.Replace(t, content));
    }
}
