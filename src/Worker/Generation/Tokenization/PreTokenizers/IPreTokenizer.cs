namespace Sluice.Worker.Generation.Tokenization.PreTokenizers;

/// <summary>Splits a text into the words that are tokenized independently. Thread-safe.</summary>
internal interface IPreTokenizer
{
    /// <summary>Splits a piece, and adds its parts to the list.</summary>
    void Split(Piece piece, List<Piece> parts);
}
