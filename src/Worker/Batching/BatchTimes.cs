namespace Sluice.Worker.Batching;

/// <summary>Statistics of all runs with the same number of rows.</summary>
/// <param name="Infer">Durations of the runs.</param>
/// <param name="Reading">Total time to read the tensors of all requests in these runs.</param>
/// <param name="Writing">Total time to write the responses of all requests in these runs.</param>
public readonly record struct BatchTimes(Times Infer, TimeSpan Reading, TimeSpan Writing)
{
    /// <summary>Times for each run, independent of its number of requests.</summary>
    public Times Input => new(Infer.Count, Reading.Ticks * TimeSpan.NanosecondsPerTick);

    /// <inheritdoc cref="Input"/>
    public Times Output => new(Infer.Count, Writing.Ticks * TimeSpan.NanosecondsPerTick);

    /// <summary>Adds a run.</summary>
    public BatchTimes AddRun(TimeSpan duration) => this with { Infer = Infer.Plus(duration) };

    /// <summary>Adds the reading and writing times of one successful request.</summary>
    public BatchTimes AddRequest(TimeSpan reading, TimeSpan writing) =>
        this with { Reading = Reading + reading, Writing = Writing + writing };
}
