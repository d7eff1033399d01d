using Sluice.Worker.Statistics;

namespace Sluice.Worker.Generation;

/// <summary>
/// A snapshot of the distributions of the texts of one model. Durations are in seconds. The stages of a text are those
/// of vLLM; only texts that are complete have them.
/// </summary>
public sealed record GenerationStatisticsView
{
    /// <summary>Number of texts that ended, by <see cref="GenerationEnd"/>.</summary>
    public required IReadOnlyList<long> Ends { get; init; }

    /// <summary>Time from the arrival to the first token.</summary>
    public required HistogramView FirstToken { get; init; }

    /// <summary>Time between two tokens of a text.</summary>
    public required HistogramView InterToken { get; init; }

    /// <summary>Time from the arrival to the last token.</summary>
    public required HistogramView Total { get; init; }

    /// <summary>Time from the arrival to the first row of the cache.</summary>
    public required HistogramView Queue { get; init; }

    /// <summary>Time from the first row to the first token.</summary>
    public required HistogramView Prefill { get; init; }

    /// <summary>Time from the first token to the last one.</summary>
    public required HistogramView Decode { get; init; }

    /// <summary>Time from the first row to the last token.</summary>
    public required HistogramView Inference { get; init; }

    /// <summary>Tokens of the prompt.</summary>
    public required HistogramView PromptTokens { get; init; }

    /// <summary>Generated tokens.</summary>
    public required HistogramView GeneratedTokens { get; init; }

    /// <summary>Tokens of a step: read ones of prompts, and generated ones.</summary>
    public required HistogramView StepTokens { get; init; }

    /// <summary>Texts that generated a token in one run.</summary>
    public required HistogramView Batch { get; init; }
}
