using Sluice.Worker.Generation.Tokenization.Files;

namespace Sluice.Worker.Generation.Tokenization;

/// <summary>A token that is recognised in a text before the model of the tokenizer sees it.</summary>
/// <param name="Id">Its number.</param>
/// <param name="Content">Its text.</param>
/// <param name="SingleWord">Whether it is recognised only as a whole word.</param>
/// <param name="StripLeft">Whether it includes white space before it.</param>
/// <param name="StripRight">Whether it includes white space after it.</param>
/// <param name="Normalized">Whether it is searched in the normalized text.</param>
/// <param name="IsSpecial">Whether it has no text in an output.</param>
internal sealed record AddedToken(
    int Id,
    string Content,
    bool SingleWord,
    bool StripLeft,
    bool StripRight,
    bool Normalized,
    bool IsSpecial)
{
    /// <summary>
    /// Whether a caller's content must not contain it: special tokens, and tokens that look like one. DeepSeek's
    /// <c>&lt;｜User｜&gt;</c> is not marked as special.
    /// </summary>
    public bool IsControl =>
        IsSpecial
        || Content.StartsWith("<|", StringComparison.Ordinal)
        || Content.StartsWith("<\uFF5C", StringComparison.Ordinal);

    /// <summary>Reads an item of the field <c>added_tokens</c>.</summary>
    public static AddedToken Read(JsonPart part)
    {
        var isSpecial = part.Flag("special", false);
        return new AddedToken(part.Get("id").AsNumber(), part.Text("content"), part.Flag("single_word", false),
            part.Flag("lstrip", false), part.Flag("rstrip", false), part.Flag("normalized", !isSpecial), isSpecial);
    }
}
