using System.Globalization;

namespace Sluice.Worker.Generation.Tokenization;

/// <summary>Selects the tokenizer of a model by its metadata.</summary>
public static class Tokenizers
{
    /// <summary>Returns the tokenizer that <c>sluice.vocab</c> names.</summary>
    /// <exception cref="NotSupportedException">There is no such tokenizer.</exception>
    public static ITokenizer For(IReadOnlyDictionary<string, string> metadata) =>
        metadata.GetValueOrDefault("sluice.vocab") == "bytes"
            ? new ByteTokenizer((byte)ReadNumber(metadata, "sluice.eos", 0))
            : throw new NotSupportedException(
                "text generation: only models over bytes (sluice.vocab=bytes) are supported");

    /// <summary>Reads a number of the metadata. Returns the default if it is missing or not a number.</summary>
    public static int ReadNumber(IReadOnlyDictionary<string, string> metadata, string property, int defaultValue) =>
        int.TryParse(metadata.GetValueOrDefault(property), CultureInfo.InvariantCulture, out var n)
            ? n
            : defaultValue;
}
