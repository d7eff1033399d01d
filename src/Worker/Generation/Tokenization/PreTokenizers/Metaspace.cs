namespace Sluice.Worker.Generation.Tokenization.PreTokenizers;

/// <summary>Writes spaces as a visible character, as SentencePiece does.</summary>
/// <param name="replacement">The character, usually U+2581.</param>
/// <param name="prepend">Whether a text starts with a space: always, first (only at the start) or never.</param>
/// <param name="split">Whether the text is split before each replaced space.</param>
internal sealed class Metaspace(string replacement, string prepend, bool split) : IPreTokenizer
{
    private readonly TextSplit splitter = new(replacement, SplitBehavior.MergedWithNext);

    public void Split(Piece piece, List<Piece> parts)
    {
        var text = piece.Span.ToString().Replace(" ", replacement, StringComparison.Ordinal);
        var isPrepended = prepend == "always" || (prepend == "first" && piece.IsFirst);
        if (isPrepended && !text.StartsWith(replacement, StringComparison.Ordinal)) text = replacement + text;
        if (split) splitter.Split(piece.With(text), parts);
        else if (text.Length > 0) parts.Add(piece.With(text));
    }
}
