namespace Sluice.Worker.Batching;

/// <summary>A number of durations and their sum in nanoseconds.</summary>
public readonly record struct Times(long Count, long Ns)
{
    /// <summary>Adds a duration.</summary>
    public Times Plus(TimeSpan duration) => new(Count + 1, Ns + (duration.Ticks * TimeSpan.NanosecondsPerTick));
}
