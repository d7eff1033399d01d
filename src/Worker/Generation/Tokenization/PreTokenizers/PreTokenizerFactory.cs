using System.Text;
using Sluice.Worker.Generation.Tokenization.Files;
using Sluice.Worker.Generation.Tokenization.Unicode;

namespace Sluice.Worker.Generation.Tokenization.PreTokenizers;

/// <summary>Creates the pre-tokenizer that a tokenizer file describes.</summary>
internal static class PreTokenizerFactory
{
    private const string Supported = "Sequence, ByteLevel, Split, Metaspace, Digits, Punctuation, Whitespace, "
        + "WhitespaceSplit, BertPreTokenizer, CharDelimiterSplit";

    /// <summary>Creates the pre-tokenizer of the field <c>pre_tokenizer</c>.</summary>
    /// <exception cref="TokenizerFileException">It is not supported.</exception>
    public static IPreTokenizer Create(JsonPart? part) => part is { } given ? Create(given) : Sequence();

    /// <summary>
    /// Returns whether the words are written in the alphabet of bytes. Its pre-tokenizer must be the last one, because
    /// the pre-tokenizers here do not see that alphabet.
    /// </summary>
    public static bool IsByteLevel(JsonPart? part)
    {
        if (part is not { } given) return false;
        if (given.Type != "Sequence") return given.Type == "ByteLevel";
        var steps = given.List("pretokenizers").ToList();
        for (var i = 0; i < steps.Count; i++)
            if (IsByteLevel(steps[i]))
                return i == steps.Count - 1 ? true : throw new TokenizerFileException(
                    $"{steps[i].Path}.type is 'ByteLevel' before other pre-tokenizers; supported: only as the last");
        return false;
    }

    /// <summary>Returns whether all characters of a text are in its words.</summary>
    public static bool KeepsText(JsonPart part) => part.Type switch
    {
        "Sequence" => part.List("pretokenizers").All(KeepsText),
        "Split" => Behavior(part, null) != SplitBehavior.Removed,
        "Punctuation" => Behavior(part, "Isolated") != SplitBehavior.Removed,
        _ => part.Type is "ByteLevel" or "Digits",
    };

    private static IPreTokenizer Create(JsonPart part) => part.Type switch
    {
        "Sequence" => Sequence([.. part.List("pretokenizers").Select(Create)]),
        "ByteLevel" => ByteLevel(part),
        "Split" => Split(part),
        "Metaspace" => CreateMetaspace(part),
        "Digits" => new CharacterSplit(Characters.IsNumeric,
            part.Flag("individual_digits", false) ? SplitBehavior.Isolated : SplitBehavior.Contiguous),
        "Punctuation" => new CharacterSplit(Characters.IsPunctuation, Behavior(part, "Isolated")),
        "Whitespace" => new WordSplit(),
        "WhitespaceSplit" => new CharacterSplit(Rune.IsWhiteSpace, SplitBehavior.Removed),
        "BertPreTokenizer" => Sequence(
            new CharacterSplit(Rune.IsWhiteSpace, SplitBehavior.Removed),
            new CharacterSplit(Characters.IsPunctuation, SplitBehavior.Isolated)),
        "CharDelimiterSplit" => new TextSplit(part.Text("delimiter"), SplitBehavior.Removed),
        _ => throw part.Unsupported(Supported),
    };

    private static PreTokenizerSequence Sequence(params IPreTokenizer[] steps) => new(steps);

    private static PreTokenizerSequence ByteLevel(JsonPart part)
    {
        var steps = new List<IPreTokenizer>();
        if (part.Flag("add_prefix_space", true)) steps.Add(new PrefixSpace());
        if (part.Flag("use_regex", true))
            steps.Add(new PatternSplit(PatternSplit.Compile(KnownPatterns.Gpt2Text, part.Path), part.Path,
                SplitBehavior.Isolated));
        return new PreTokenizerSequence(steps);
    }

    private static IPreTokenizer Split(JsonPart part)
    {
        var pattern = part.Get("pattern");
        var behavior = Behavior(part, null);
        var invert = part.Flag("invert", false);
        if (pattern.Find("String") is { } text) return new TextSplit(text.AsText(), behavior, invert);
        var regex = pattern.Get("Regex");
        return new PatternSplit(PatternSplit.Compile(regex.AsText(), regex.Path), regex.Path, behavior, invert);
    }

    private static Metaspace CreateMetaspace(JsonPart part)
    {
        var scheme = part.Text("prepend_scheme", part.Flag("add_prefix_space", true) ? "always" : "never")!;
        return scheme is "always" or "first" or "never"
            ? new Metaspace(part.Text("replacement"), scheme, part.Flag("split", true))
            : throw part.Get("prepend_scheme").Unexpected("\"always\", \"first\" or \"never\"");
    }

    private static SplitBehavior Behavior(JsonPart part, string? defaultValue)
    {
        var text = part.Text("behavior", defaultValue) ?? part.Text("behavior");
        return Enum.TryParse<SplitBehavior>(text, out var behavior) && Enum.IsDefined(behavior)
            ? behavior
            : throw part.Get("behavior").Unexpected(string.Join(", ", Enum.GetNames<SplitBehavior>()));
    }
}
