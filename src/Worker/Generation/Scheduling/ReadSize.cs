namespace Sluice.Worker.Generation.Scheduling;

/// <summary>
/// Decides how many tokens of prompts a step reads. A step that reads a prompt delays all sequences that decode, so the
/// time for reading is adjusted to the time for decoding. Without sequences that decode, nothing is delayed. Pure.
/// </summary>
public static class ReadSize
{
    /// <summary>The most tokens of a step. Longer runs are hardly faster per token.</summary>
    public const int Most = 512;

    /// <summary>
    /// The least tokens of a step. Each run reads all weights of the model, so shorter runs would take almost as long.
    /// </summary>
    public const int Least = 16;

    /// <summary>
    /// The share of the decoding time that reading may take. It keeps the time between two tokens below twice the
    /// time without prompts.
    /// </summary>
    private const double Share = 0.8;

    /// <summary>The largest factor by which a size grows or shrinks from one step to the next.</summary>
    private const double MaxChange = 2;

    /// <summary>Returns the number of tokens for the next step.</summary>
    /// <param name="tokens">The number of tokens of the last step that read a prompt.</param>
    /// <param name="reading">The time for reading them.</param>
    /// <param name="decoding">The time for decoding in the same step.</param>
    public static int Next(int tokens, TimeSpan reading, TimeSpan decoding)
    {
        var change = reading <= TimeSpan.Zero ? MaxChange : decoding * Share / reading;
        return (int)Math.Clamp(tokens * Math.Clamp(change, 1 / MaxChange, MaxChange), Least, Most);
    }
}
