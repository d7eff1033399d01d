using Sluice.Worker.Statistics;

namespace Sluice.Worker.Embeddings;

/// <summary>A snapshot of what a model that makes embeddings did since it was loaded.</summary>
/// <param name="Requests">Number of requests.</param>
/// <param name="Texts">Number of texts of these requests.</param>
/// <param name="Tokens">Number of tokens of these texts, with the tokens that the model expects around a text.</param>
/// <param name="Waiting">Number of texts that wait for a run.</param>
/// <param name="BatchTexts">Texts of a run.</param>
/// <param name="BatchTokens">Tokens of a run, with padding.</param>
public sealed record EmbeddingStatistics(
    long Requests,
    long Texts,
    long Tokens,
    int Waiting,
    HistogramView BatchTexts,
    HistogramView BatchTokens)
{
    /// <summary>Bounds of the texts of a run.</summary>
    internal static readonly double[] TextBounds = [1, 2, 4, 8, 16, 32, 64, 128, 256];

    /// <summary>Bounds of the tokens of a run.</summary>
    internal static readonly double[] TokenBounds = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384];

    /// <summary>The statistics of a model without requests.</summary>
    public static EmbeddingStatistics None { get; } =
        new(0, 0, 0, 0, new Histogram(TextBounds).View(), new Histogram(TokenBounds).View());
}
