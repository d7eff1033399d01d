namespace Sluice.Worker.Batching;

/// <summary>Runs of one number of rows: how long they took, and how long it took to read and to write the tensors of all requests in them.</summary>
public readonly record struct BatchTimes(Times Infer, TimeSpan Reading, TimeSpan Writing)
{
    /// <summary>Of a run, whatever the number of its requests.</summary>
    public Times Input => new(Infer.Count, Reading.Ticks * TimeSpan.NanosecondsPerTick);

    /// <inheritdoc cref="Input"/>
    public Times Output => new(Infer.Count, Writing.Ticks * TimeSpan.NanosecondsPerTick);

    public BatchTimes Ran(TimeSpan took) => this with { Infer = Infer.Plus(took) };

    /// <summary>One of its requests was answered.</summary>
    public BatchTimes Answered(TimeSpan reading, TimeSpan writing) => this with { Reading = Reading + reading, Writing = Writing + writing };
}
