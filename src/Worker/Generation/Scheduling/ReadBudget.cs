namespace Sluice.Worker.Generation.Scheduling;

/// <summary>
/// Adjusts how many tokens of prompts a step reads, while other sequences decode, to the times of earlier steps. Not
/// thread-safe.
/// </summary>
public sealed class ReadBudget
{
    /// <summary>Time of the last mixed run without prompts.</summary>
    private TimeSpan decodingAlone;

    /// <summary>Number of tokens for the next step.</summary>
    public int Tokens { get; private set; } = ReadSize.First;

    /// <summary>Records a step with a run for decoding and other runs for reading.</summary>
    /// <param name="read">The number of tokens of prompts.</param>
    /// <param name="reading">The time for reading them.</param>
    /// <param name="decoding">The time for decoding.</param>
    public void Record(int read, TimeSpan reading, TimeSpan decoding)
    {
        if (read > 0 && decoding > TimeSpan.Zero) Tokens = ReadSize.Next(read, reading, decoding);
    }

    /// <summary>
    /// Records a step whose run did both. What it takes longer than the last one without prompts is the time for
    /// reading.
    /// </summary>
    /// <param name="read">The number of tokens of prompts.</param>
    /// <param name="time">The time of the step.</param>
    public void RecordMixed(int read, TimeSpan time)
    {
        if (read == 0) decodingAlone = time;
        Record(read, time - decodingAlone, decodingAlone);
    }
}
