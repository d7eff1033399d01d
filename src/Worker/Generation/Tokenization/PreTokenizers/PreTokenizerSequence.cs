namespace Sluice.Worker.Generation.Tokenization.PreTokenizers;

/// <summary>Splits the parts of each pre-tokenizer with the next one.</summary>
internal sealed class PreTokenizerSequence(IReadOnlyList<IPreTokenizer> steps) : IPreTokenizer
{
    public void Split(Piece piece, List<Piece> parts)
    {
        var pieces = new List<Piece> { piece };
        for (var i = 0; i < steps.Count; i++)
        {
            var next = i == steps.Count - 1 ? parts : new List<Piece>(pieces.Count);
            foreach (var part in pieces) steps[i].Split(part, next);
            pieces = next;
        }

        if (steps.Count == 0) parts.Add(piece);
    }
}
