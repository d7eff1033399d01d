namespace Sluice.Worker.Embeddings;

/// <summary>How the vectors of the tokens of a text become one vector.</summary>
public enum Pooling
{
    /// <summary>The mean of the vectors of all tokens.</summary>
    Mean,

    /// <summary>The vector of the first token.</summary>
    Cls,

    /// <summary>The vector of the last token.</summary>
    LastToken,
}
