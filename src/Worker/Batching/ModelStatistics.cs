namespace Sluice.Worker.Batching;

/// <summary>A number of times and their sum.</summary>
public readonly record struct Times(long Count, long Ns)
{
    public Times Plus(TimeSpan took) => new(Count + 1, Ns + (took.Ticks * TimeSpan.NanosecondsPerTick));
}

/// <summary>Where a request's time goes, in the order of its way.</summary>
public enum InferStage
{
    /// <summary>Waiting for a run.</summary>
    Queue,

    /// <summary>Reading tensors into their place.</summary>
    Input,

    /// <summary>The run of its batch.</summary>
    Infer,

    /// <summary>Writing the answer.</summary>
    Output,
}

/// <summary>What a model has done since it was loaded, with Triton's meaning: requests, rows, runs, and where the time went.</summary>
public sealed record StatisticsView
{
    /// <summary>Rows that were inferred (<c>inference_count</c>).</summary>
    public long Rows { get; init; }

    /// <summary>Runs of the model (<c>execution_count</c>); rows / runs is the mean batch.</summary>
    public long Runs { get; init; }

    /// <summary>Tokens that it generated.</summary>
    public long Tokens { get; init; }

    /// <summary>When the last request ended, unix ms; 0: none did.</summary>
    public long LastMs { get; init; }

    /// <summary>Requests answered, from arrival to answer.</summary>
    public Times Success { get; init; }

    public Times Fail { get; init; }

    /// <summary>By <see cref="InferStage"/>.</summary>
    public required IReadOnlyList<Times> Stages { get; init; }

    /// <summary>Seconds, by <see cref="InferStage"/>.</summary>
    public required IReadOnlyList<HistogramView> StageSeconds { get; init; }

    /// <summary>Runs by their rows.</summary>
    public required IReadOnlyDictionary<int, BatchTimes> Batches { get; init; }

    public required HistogramView BatchRows { get; init; }

    /// <summary>Where requests have many responses: by their place in the stream.</summary>
    public required IReadOnlyDictionary<int, ResponseTimes> Responses { get; init; }

    /// <summary>Runs by why their batch took no more.</summary>
    public required IReadOnlyDictionary<BatchCut, long> Cuts { get; init; }
}

/// <summary>Counts of one model; the owner of its numbers.</summary>
public sealed class ModelStatistics(TimeProvider time)
{
    /// <summary>Of stages, in seconds: from a small model's run to a long wait.</summary>
    private static readonly double[] Seconds =
        [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

    private static readonly double[] Rows = [1, 2, 4, 8, 16, 32, 64, 128, 256];

    private static readonly TimeSpan RateWindow = TimeSpan.FromSeconds(10);

    private readonly Lock gate = new();
    private readonly SortedDictionary<int, BatchTimes> batches = [];
    private readonly SortedDictionary<int, ResponseTimes> responses = [];
    private readonly SortedDictionary<BatchCut, long> cuts = [];
    private readonly Times[] stages = new Times[4];
    private readonly Histogram[] stageSeconds = [new(Seconds), new(Seconds), new(Seconds), new(Seconds)];
    private readonly Histogram batchRows = new(Rows);
    private long rows;
    private long runs;
    private long tokens;
    private long lastMs;
    private Times success;
    private Times fail;
    private readonly MovingMean requests = new(RateWindow, time.GetElapsedTime(0));
    private readonly MovingMean failures = new(RateWindow, time.GetElapsedTime(0));

    /// <summary>Requests that ended, and those of them that failed, a second.</summary>
    public (double Requests, double Failures) Rates
    {
        get
        {
            lock (gate) return (requests.At(time.GetElapsedTime(0)), failures.At(time.GetElapsedTime(0)));
        }
    }

    public StatisticsView View
    {
        get
        {
            lock (gate)
                return new StatisticsView
                {
                    Rows = rows, Runs = runs, Tokens = tokens, LastMs = lastMs, Success = success, Fail = fail, Stages = [.. stages],
                    StageSeconds = [.. stageSeconds.Select(h => h.View())], Batches = new Dictionary<int, BatchTimes>(batches), BatchRows = batchRows.View(),
                    Responses = new Dictionary<int, ResponseTimes>(responses), Cuts = new Dictionary<BatchCut, long>(cuts),
                };
        }
    }

    /// <summary>A run ended.</summary>
    public void Executed(int rowsRun, BatchCut cut, TimeSpan took, bool ok)
    {
        lock (gate)
        {
            runs++;
            if (ok) rows += rowsRun;
            batches[rowsRun] = batches.GetValueOrDefault(rowsRun).Ran(took);
            cuts[cut] = cuts.GetValueOrDefault(cut) + 1;
            batchRows.Add(rowsRun);
        }
    }

    /// <summary>A request was answered.</summary>
    public void Answered(Inference inference, TimeSpan writing)
    {
        lock (gate)
        {
            Succeeded(inference.Total);
            Stage(InferStage.Queue, inference.Queue);
            Stage(InferStage.Input, inference.Input);
            Stage(InferStage.Infer, inference.Infer);
            Stage(InferStage.Output, writing);
            batches[inference.BatchRows] = batches.GetValueOrDefault(inference.BatchRows).Answered(inference.Input, writing);
        }
    }

    /// <summary>A request got no answer.</summary>
    public void Failed(TimeSpan after)
    {
        lock (gate)
        {
            lastMs = time.GetUtcNow().ToUnixTimeMilliseconds();
            fail = fail.Plus(after);
            requests.Count(time.GetElapsedTime(0));
            failures.Count(time.GetElapsedTime(0));
        }
    }

    /// <summary>A text was generated, to its end: one row, and for the count one run.</summary>
    public void Generated(TimeSpan took)
    {
        lock (gate)
        {
            rows++;
            runs++;
            Succeeded(took);
        }
    }

    /// <summary>A response was sent, or was to be: of those of its request the one with this index.</summary>
    public void Responded(int index, ResponseEnd end, TimeSpan infer, TimeSpan output)
    {
        lock (gate) responses[index] = responses.GetValueOrDefault(index).Plus(end, infer, output);
    }

    /// <summary>A token was generated.</summary>
    public void Token()
    {
        lock (gate) tokens++;
    }

    private void Succeeded(TimeSpan took)
    {
        lastMs = time.GetUtcNow().ToUnixTimeMilliseconds();
        success = success.Plus(took);
        requests.Count(time.GetElapsedTime(0));
    }

    private void Stage(InferStage stage, TimeSpan took)
    {
        stages[(int)stage] = stages[(int)stage].Plus(took);
        stageSeconds[(int)stage].Add(took.TotalSeconds);
    }
}
