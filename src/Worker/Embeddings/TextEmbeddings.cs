namespace Sluice.Worker.Embeddings;

/// <summary>Vectors of texts.</summary>
/// <param name="Vectors">A vector for each text, in the order of the texts.</param>
/// <param name="Tokens">Number of tokens of each text, with the tokens that the model expects around it.</param>
public sealed record TextEmbeddings(float[][] Vectors, int[] Tokens);
