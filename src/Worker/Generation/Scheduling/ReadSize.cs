namespace Sluice.Worker.Generation.Scheduling;

/// <summary>
/// Decides how many tokens of prompts a step reads. A step that reads a prompt delays all sequences that decode, so the
/// time for reading is adjusted to the time for decoding. Decoding first delays all sequences that wait, so the time
/// for reading is longer if many wait. Without sequences that decode, nothing is delayed. Pure.
/// </summary>
public static class ReadSize
{
    /// <summary>The most tokens of a step. Longer runs are hardly faster per token.</summary>
    public const int Most = 512;

    /// <summary>
    /// The least tokens of a step. Each run reads all weights of the model, so shorter runs would take almost as long.
    /// </summary>
    public const int Least = 16;

    /// <summary>The tokens of the first step that also decodes, before anything was measured.</summary>
    public const int First = 64;

    /// <summary>
    /// The share of the decoding time that reading may take while few sequences wait. It keeps the time between two
    /// tokens below twice the time without prompts.
    /// </summary>
    private const double Share = 0.8;

    /// <summary>
    /// One sequence that waits counts as much as this number of sequences that decode: it has no token yet. When
    /// sequences start together, most of their prompts are then read before the first ones have long texts, and more
    /// sequences share each run of the model.
    /// </summary>
    private const double WaitingWeight = 4;

    /// <summary>The largest factor by which a size grows from one step to the next.</summary>
    private const double MaxGrowth = 2;

    /// <summary>
    /// The smallest factor by which a size shrinks. It is farther from 1, because each step that is too long delays all
    /// sequences that decode.
    /// </summary>
    private const double MaxShrinkage = 1 / 8.0;

    /// <summary>Returns the factor by which reading may take longer because sequences wait, at least 1.</summary>
    /// <param name="waiting">Number of sequences that could be read now, or are read.</param>
    /// <param name="decoding">Number of sequences that decode, at least 1.</param>
    public static double Urgency(int waiting, int decoding) => Math.Max(1, WaitingWeight * waiting / decoding);

    /// <summary>Returns the number of tokens for the next step.</summary>
    /// <param name="tokens">The number of tokens of the last step that read a prompt.</param>
    /// <param name="reading">The time for reading them.</param>
    /// <param name="decoding">The time for decoding in the same step.</param>
    public static int Next(int tokens, TimeSpan reading, TimeSpan decoding)
    {
        var change = reading <= TimeSpan.Zero ? MaxGrowth : decoding * Share / reading;
        return (int)Math.Clamp(tokens * Math.Clamp(change, MaxShrinkage, MaxGrowth), Least, Most);
    }
}
