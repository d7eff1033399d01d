using Sluice.Worker.Statistics;

namespace Sluice.Worker.Batching;

/// <summary>
/// A snapshot of the statistics of a model since it was loaded: requests, rows, runs and durations, with the same
/// meaning as in Triton.
/// </summary>
public sealed record StatisticsView
{
    /// <summary>Inferred rows (<c>inference_count</c>).</summary>
    public long Rows { get; init; }

    /// <summary>Runs of the model (<c>execution_count</c>); rows / runs is the mean batch size.</summary>
    public long Runs { get; init; }

    /// <summary>Generated tokens.</summary>
    public long Tokens { get; init; }

    /// <summary>Time when the last request ended, in Unix milliseconds; 0: no request has ended.</summary>
    public long LastMs { get; init; }

    /// <summary>Successful requests, from arrival to response.</summary>
    public Times Success { get; init; }

    /// <summary>Failed requests, from arrival to failure.</summary>
    public Times Fail { get; init; }

    /// <summary>Durations by <see cref="InferStage"/>.</summary>
    public required IReadOnlyList<Times> Stages { get; init; }

    /// <summary>Durations in seconds by <see cref="InferStage"/>.</summary>
    public required IReadOnlyList<HistogramView> StageSeconds { get; init; }

    /// <summary>Runs by their number of rows.</summary>
    public required IReadOnlyDictionary<int, BatchTimes> Batches { get; init; }

    /// <summary>Distribution of the number of rows of a run.</summary>
    public required HistogramView BatchRows { get; init; }

    /// <summary>Responses of streams, by their index in the stream.</summary>
    public required IReadOnlyDictionary<int, ResponseTimes> Responses { get; init; }

    /// <summary>Runs by the reason why no more requests were added to the batch.</summary>
    public required IReadOnlyDictionary<BatchCut, long> Cuts { get; init; }
}
