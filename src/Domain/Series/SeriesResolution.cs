namespace Sluice.Domain.Series;

/// <summary>How finely, and for how long, series are stored. Pure.</summary>
/// <param name="StepSeconds">Seconds of a step.</param>
/// <param name="StepsInBlock">Steps that one key of Redis has.</param>
/// <param name="Life">How long a block is stored after its last step.</param>
public sealed record SeriesResolution(int StepSeconds, int StepsInBlock, TimeSpan Life)
{
    /// <summary>The longest time that a chart can show: two days.</summary>
    public const int MaxMinutes = 48 * 60;

    /// <summary>Steps of 10 s for two hours.</summary>
    public static readonly SeriesResolution Fine = new(10, 30, TimeSpan.FromHours(2));

    /// <summary>Steps of 5 min for two days.</summary>
    public static readonly SeriesResolution Coarse = new(300, 48, TimeSpan.FromHours(48));

    /// <summary>Seconds of a block.</summary>
    public int BlockSeconds => StepSeconds * StepsInBlock;

    /// <summary>Returns the start of the step of a time, in seconds of Unix time.</summary>
    public long StartOf(DateTimeOffset time) => time.ToUnixTimeSeconds() / StepSeconds * StepSeconds;

    /// <summary>Returns the start of the block of a step.</summary>
    public long BlockOf(long start) => start / BlockSeconds * BlockSeconds;

    /// <summary>
    /// Returns what a chart shows: the resolution that is stored, and the steps of the chart, at most 576.
    /// </summary>
    /// <param name="minutes">The time of the chart.</param>
    public static (SeriesResolution Stored, int ShownSeconds) Select(int minutes) => minutes switch
    {
        <= 60 => (Fine, 10),
        <= 120 => (Fine, 30),
        _ => (Coarse, 300),
    };
}
