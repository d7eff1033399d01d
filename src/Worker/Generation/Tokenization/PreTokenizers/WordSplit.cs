using System.Text;
using Sluice.Worker.Generation.Tokenization.Unicode;

namespace Sluice.Worker.Generation.Tokenization.PreTokenizers;

/// <summary>
/// Splits into words of word characters and words of other characters, and removes white space between them.
/// </summary>
internal sealed class WordSplit : IPreTokenizer
{
    public void Split(Piece piece, List<Piece> parts)
    {
        var (start, at, kind) = (0, 0, 0);
        foreach (var rune in piece.Span.EnumerateRunes())
        {
            var next = Rune.IsWhiteSpace(rune) ? 0 : Characters.IsWord(rune) ? 1 : 2;
            if (next != kind)
            {
                if (kind != 0) parts.Add(piece.Slice(start, at - start));
                (start, kind) = (at, next);
            }

            at += rune.Utf16SequenceLength;
        }

        if (kind != 0) parts.Add(piece.Slice(start, at - start));
    }
}
