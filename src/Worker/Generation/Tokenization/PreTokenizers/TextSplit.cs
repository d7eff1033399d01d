using System.Diagnostics;
using System.Text.RegularExpressions;
using Sluice.Worker.Generation.Tokenization.Files;
using Sluice.Worker.Generation.Tokenization.Unicode;

namespace Sluice.Worker.Generation.Tokenization.PreTokenizers;

/// <summary>Splits at each occurrence of a text.</summary>
internal sealed class TextSplit(string separator, SplitBehavior behavior, bool invert = false) : IPreTokenizer
{
    public void Split(Piece piece, List<Piece> parts)
    {
        var writer = new PartWriter(piece, behavior, parts);
        var rest = piece.Span;
        for (int i; separator.Length > 0 && (i = rest.IndexOf(separator, StringComparison.Ordinal)) >= 0;)
        {
            writer.Add(i, invert);
            writer.Add(separator.Length, !invert);
            rest = rest[(i + separator.Length)..];
        }

        writer.Finish(invert);
    }
}
