using Sluice.Worker.Statistics;

namespace Sluice.Worker.Batching;

/// <summary>Counts the requests, rows and runs of one model. Thread-safe.</summary>
public sealed class ModelStatistics(TimeProvider time)
{
    /// <summary>Bounds of the stage durations in seconds, from the run of a small model to a long wait.</summary>
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
    private readonly MovingAverage requests = new(RateWindow, time.GetElapsedTime(0));
    private readonly MovingAverage failures = new(RateWindow, time.GetElapsedTime(0));

    /// <summary>Completed requests and failed requests per second, as means over about 10 s.</summary>
    public (double Requests, double Failures) Rates
    {
        get
        {
            lock (gate) return (requests.At(time.GetElapsedTime(0)), failures.At(time.GetElapsedTime(0)));
        }
    }

    /// <summary>A snapshot of all statistics.</summary>
    public StatisticsView View
    {
        get
        {
            lock (gate)
                return new StatisticsView
                {
                    Rows = rows,
                    Runs = runs,
                    Tokens = tokens,
                    LastMs = lastMs,
                    Success = success,
                    Fail = fail,
                    Stages = [.. stages],
                    StageSeconds = [.. stageSeconds.Select(h => h.View())],
                    Batches = new Dictionary<int, BatchTimes>(batches),
                    BatchRows = batchRows.View(),
                    Responses = new Dictionary<int, ResponseTimes>(responses),
                    Cuts = new Dictionary<BatchCut, long>(cuts),
                };
        }
    }

    /// <summary>Records a run.</summary>
    /// <param name="rowsRun">Rows of the run.</param>
    /// <param name="cut">Why no more requests were added to the batch.</param>
    /// <param name="duration">Duration of the run.</param>
    /// <param name="ok">Whether the run was successful.</param>
    public void RecordRun(int rowsRun, BatchCut cut, TimeSpan duration, bool ok)
    {
        lock (gate)
        {
            runs++;
            if (ok) rows += rowsRun;
            batches[rowsRun] = batches.GetValueOrDefault(rowsRun).AddRun(duration);
            cuts[cut] = cuts.GetValueOrDefault(cut) + 1;
            batchRows.Add(rowsRun);
        }
    }

    /// <summary>Records a successful request.</summary>
    /// <param name="inference">The result.</param>
    /// <param name="writing">Time to write the response.</param>
    public void RecordSuccess(Inference inference, TimeSpan writing)
    {
        lock (gate)
        {
            AddSuccess(inference.Total);
            AddStage(InferStage.Queue, inference.Queue);
            AddStage(InferStage.Input, inference.Input);
            AddStage(InferStage.Infer, inference.Infer);
            AddStage(InferStage.Output, writing);
            var times = batches.GetValueOrDefault(inference.BatchRows);
            batches[inference.BatchRows] = times.AddRequest(inference.Input, writing);
        }
    }

    /// <summary>Records a failed request.</summary>
    /// <param name="after">Time from the arrival to the failure.</param>
    public void RecordFailure(TimeSpan after)
    {
        lock (gate)
        {
            lastMs = time.GetUtcNow().ToUnixTimeMilliseconds();
            fail = fail.Plus(after);
            requests.Count(time.GetElapsedTime(0));
            failures.Count(time.GetElapsedTime(0));
        }
    }

    /// <summary>Records a successful generation. It counts as one row and one run.</summary>
    public void RecordGeneration(TimeSpan duration)
    {
        lock (gate)
        {
            rows++;
            runs++;
            AddSuccess(duration);
        }
    }

    /// <summary>Records the result of one response of a stream.</summary>
    /// <param name="index">Index of the response in its stream.</param>
    /// <param name="end">The result.</param>
    /// <param name="infer">Time to generate the response.</param>
    /// <param name="output">Time to send the response.</param>
    public void RecordResponse(int index, ResponseEnd end, TimeSpan infer, TimeSpan output)
    {
        lock (gate) responses[index] = responses.GetValueOrDefault(index).Plus(end, infer, output);
    }

    /// <summary>Records a generated token.</summary>
    public void RecordToken()
    {
        lock (gate) tokens++;
    }

    private void AddSuccess(TimeSpan duration)
    {
        lastMs = time.GetUtcNow().ToUnixTimeMilliseconds();
        success = success.Plus(duration);
        requests.Count(time.GetElapsedTime(0));
    }

    private void AddStage(InferStage stage, TimeSpan duration)
    {
        stages[(int)stage] = stages[(int)stage].Plus(duration);
        stageSeconds[(int)stage].Add(duration.TotalSeconds);
    }
}
