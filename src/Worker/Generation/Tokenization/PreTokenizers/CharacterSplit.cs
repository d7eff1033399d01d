using System.Diagnostics;
using System.Text.RegularExpressions;
using Sluice.Worker.Generation.Tokenization.Files;
using Sluice.Worker.Generation.Tokenization.Unicode;

namespace Sluice.Worker.Generation.Tokenization.PreTokenizers;

/// <summary>Splits at characters for which a condition is true.</summary>
internal sealed class CharacterSplit(Func<System.Text.Rune, bool> isSeparator, SplitBehavior behavior) : IPreTokenizer
{
    public void Split(Piece piece, List<Piece> parts)
    {
        var writer = new PartWriter(piece, behavior, parts);
        var text = 0;
        foreach (var rune in piece.Span.EnumerateRunes())
        {
            if (!isSeparator(rune)) text += rune.Utf16SequenceLength;
            else
            {
                writer.Add(text, isSeparator: false);
                writer.Add(rune.Utf16SequenceLength, isSeparator: true);
                text = 0;
            }
        }

        writer.Finish(isSeparator: false);
    }
}
