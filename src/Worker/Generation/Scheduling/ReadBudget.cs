namespace Sluice.Worker.Generation.Scheduling;

/// <summary>
/// Adjusts how many tokens of prompts a step reads, while other sequences decode, to the times of earlier steps. Not
/// thread-safe.
/// </summary>
public sealed class ReadBudget
{
    /// <summary>Time of the last mixed run without prompts.</summary>
    private TimeSpan decodingAlone;

    /// <summary>Number of tokens while few sequences wait.</summary>
    private int tokens = ReadSize.First;

    /// <summary>The factor of the current step.</summary>
    private double urgency = 1;

    /// <summary>Returns the numbers of tokens for the next step.</summary>
    /// <param name="waiting">Number of sequences that could be read now, or are read.</param>
    /// <param name="decoding">Number of sequences that decode.</param>
    public ReadTokens Next(int waiting, int decoding)
    {
        if (decoding == 0) return new ReadTokens(ReadSize.Most, ReadSize.Most);
        urgency = ReadSize.Urgency(waiting, decoding);
        return new ReadTokens((int)Math.Min(ReadSize.Most, tokens * urgency), tokens);
    }

    /// <summary>Records a step with a run for decoding and other runs for reading.</summary>
    /// <param name="read">The number of tokens of prompts.</param>
    /// <param name="reading">The time for reading them.</param>
    /// <param name="decoding">The time for decoding.</param>
    public void Record(int read, TimeSpan reading, TimeSpan decoding)
    {
        if (read == 0 || decoding <= TimeSpan.Zero) return;
        // What one token takes hardly depends on the number, so the size without urgency follows from a longer step.
        var factor = Math.Max(1, Math.Min(urgency, (double)read / tokens));
        tokens = ReadSize.Next((int)(read / factor), reading / factor, decoding);
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
