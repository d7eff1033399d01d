namespace Sluice.Worker.Generation.Tokenization.PreTokenizers;

/// <summary>
/// Adds a space before each piece that does not start with one. The bytes themselves are the alphabet of the model.
/// </summary>
internal sealed class PrefixSpace : IPreTokenizer
{
    public void Split(Piece piece, List<Piece> parts) =>
        parts.Add(piece.Span.StartsWith(' ') ? piece : piece.With(" " + piece.Span.ToString()));
}
