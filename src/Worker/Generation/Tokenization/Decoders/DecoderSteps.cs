using System.Globalization;
using System.Text;
using Sluice.Worker.Generation.Tokenization.Files;

namespace Sluice.Worker.Generation.Tokenization.Decoders;

/// <summary>Decodes each token with the steps that a tokenizer file lists.</summary>
internal sealed class DecoderSteps : ITokenBytes
{
    private const string Supported =
        "Sequence, ByteLevel, ByteFallback, Fuse, Replace with a String, Strip, Metaspace, WordPiece";

    private static readonly (string From, string To)[] CleanUps =
    [
        (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
        (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ];

    private readonly List<Func<string, bool, string>> steps = [];
    private bool hasByteFallback;
    private bool isFused;

    public (int Count, byte Value) StrippedAtStart { get; private set; }

    /// <summary>Creates the decoder of the field <c>decoder</c>.</summary>
    /// <param name="part">The field.</param>
    /// <param name="isByteLevel">Whether the vocabulary has bytes.</param>
    /// <exception cref="TokenizerFileException">It is not supported.</exception>
    public static ITokenBytes Create(JsonPart? part, bool isByteLevel)
    {
        if (isByteLevel)
            return part is not { } given || given.Type == "ByteLevel"
                || (given.Type == "Sequence" && given.List("decoders").All(d => d.Type is "ByteLevel" or "Fuse"))
                ? new ByteLevelBytes()
                : throw given.Unsupported("ByteLevel, because pre_tokenizer is ByteLevel");
        var decoder = new DecoderSteps();
        if (part is { } decoderPart) decoder.Add(decoderPart);
        else decoder.steps.Add((token, isFirst) => isFirst ? token : " " + token);
        return decoder;
    }

    public ReadOnlySpan<byte> Decode(ReadOnlySpan<byte> written, bool isFirst)
    {
        if (hasByteFallback && TryReadByte(written, out var value)) return new[] { value };
        var text = Encoding.UTF8.GetString(written);
        foreach (var step in steps) text = step(text, isFirst);
        return Encoding.UTF8.GetBytes(text);
    }

    private static bool TryReadByte(ReadOnlySpan<byte> token, out byte value)
    {
        value = 0;
        return token.Length == 6 && token.StartsWith("<0x"u8) && token[5] == '>'
            && byte.TryParse(token[3..5], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }

    private void Add(JsonPart part)
    {
        if (isFused && part.Type is not ("Strip" or "Sequence" or "Fuse"))
            throw new TokenizerFileException($"{part.Path}.type is '{part.Type}' after Fuse; supported: Strip");
        switch (part.Type)
        {
            case "Sequence":
                foreach (var step in part.List("decoders")) Add(step);
                break;
            case "ByteFallback":
                hasByteFallback = true;
                break;
            case "Fuse":
                isFused = true;
                break;
            case "Replace":
                var (from, to) = (part.Get("pattern").Text("String"), part.Text("content"));
                if (from.Length > 0) steps.Add((token, _) => token.Replace(from, to, StringComparison.Ordinal));
                break;
            case "Strip":
                AddStrip(part);
                break;
            case "Metaspace":
                AddMetaspace(part);
                break;
            case "WordPiece":
                AddWordPiece(part.Text("prefix", "##")!, part.Flag("cleanup", true));
                break;
            default:
                throw part.Unsupported(Supported);
        }
    }

    private void AddStrip(JsonPart part)
    {
        var content = part.Text("content");
        var (start, stop) = (part.Number("start", 0), part.Number("stop", 0));
        if (content.Length != 1) throw part.Get("content").Unexpected("one character");
        if (!isFused)
            steps.Add((token, _) =>
            {
                var leading = Math.Min(start, token.Length - token.TrimStart(content[0]).Length);
                token = token[leading..];
                return token[..^Math.Min(stop, token.Length - token.TrimEnd(content[0]).Length)];
            });
        else if (stop > 0 || !char.IsAscii(content[0]))
            throw new TokenizerFileException($"{part.Path} strips '{content}' {start} times at the start and {stop} "
                + "times at the end of a text; supported: an ASCII character at the start");
        else StrippedAtStart = (start, (byte)content[0]);
    }

    private void AddMetaspace(JsonPart part)
    {
        var replacement = part.Text("replacement");
        var isPrepended = part.Text("prepend_scheme", part.Flag("add_prefix_space", true) ? "always" : "never")
            != "never";
        steps.Add((token, isFirst) =>
            token.Replace(replacement, isFirst && isPrepended ? "" : " ", StringComparison.Ordinal));
    }

    private void AddWordPiece(string prefix, bool cleanUp) => steps.Add((token, isFirst) =>
    {
        if (!isFirst)
            token = token.StartsWith(prefix, StringComparison.Ordinal) ? token[prefix.Length..] : " " + token;
        if (cleanUp)
            foreach (var (from, to) in CleanUps) token = token.Replace(from, to, StringComparison.Ordinal);
        return token;
    });
}
