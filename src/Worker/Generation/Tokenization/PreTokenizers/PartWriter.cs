namespace Sluice.Worker.Generation.Tokenization.PreTokenizers;

/// <summary>
/// Receives the separators and the text between them in the order of the text, and adds parts to a list as a
/// <see cref="SplitBehavior"/> requires. Empty parts are not added.
/// </summary>
internal ref struct PartWriter(Piece piece, SplitBehavior behavior, List<Piece> parts)
{
    private int start;
    private int end;
    private bool open;
    private bool afterSeparator;

    /// <summary>Adds the next range of the text. A range may be empty.</summary>
    public void Add(int length, bool isSeparator)
    {
        if (length == 0 && !isSeparator) return;
        var from = end;
        var to = from + length;
        switch (behavior)
        {
            case SplitBehavior.Removed when isSeparator:
                Flush();
                start = to;
                break;
            case SplitBehavior.Contiguous when open && isSeparator == afterSeparator:
            case SplitBehavior.MergedWithPrevious when open && isSeparator && !afterSeparator:
            case SplitBehavior.MergedWithNext when open && !isSeparator && afterSeparator:
                open = true;
                break;
            default:
                Flush();
                start = from;
                open = true;
                break;
        }

        end = to;
        afterSeparator = isSeparator;
    }

    /// <summary>Adds the rest of the text, which has no separator, and the last part.</summary>
    public void Finish(bool isSeparator)
    {
        if (end < piece.Length) Add(piece.Length - end, isSeparator);
        Flush();
    }

    private void Flush()
    {
        if (open && end > start) parts.Add(piece.Slice(start, end - start));
        open = false;
    }
}
