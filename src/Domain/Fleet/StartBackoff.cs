namespace Sluice.Domain.Fleet;

/// <summary>
/// Limits the rate of starts after failures. Each failed start doubles the pause before the next one, from half a
/// second to five minutes, which allows at most 12 starts in 10 minutes. A worker that exits after it was ready is
/// replaced immediately. If its successors exit soon too, the pause grows to one second and no further, because their
/// starts succeed. A worker that was ready for ten seconds, or a changed declaration, resets the backoff.
/// </summary>
/// <param name="Failures">Consecutive failed starts.</param>
/// <param name="Deaths">Consecutive workers that were ready and exited soon.</param>
/// <param name="NextTry">Earliest time of the next start.</param>
/// <param name="Reason">Reason of the last failure.</param>
public readonly record struct StartBackoff(int Failures, int Deaths, DateTimeOffset NextTry, string Reason)
{
    /// <summary>
    /// Number of failed starts from which requests are rejected instead of waiting, while no worker is ready.
    /// </summary>
    public const int BlockAfter = 3;

    /// <summary>How long a worker must be ready to reset the backoff.</summary>
    public static readonly TimeSpan ProvenAfter = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan First = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan LongestAfterReady = TimeSpan.FromSeconds(1);

    public static StartBackoff None { get; } = new(0, 0, DateTimeOffset.MinValue, "");

    public bool Blocks => Failures >= BlockAfter;

    /// <summary>Returns the backoff after another failed start.</summary>
    public StartBackoff Failed(DateTimeOffset now, string reason) =>
        new(Failures + 1, Deaths, now + Pause(Failures, Longest), reason);

    /// <summary>Returns the backoff after the exit of a worker that had been ready.</summary>
    public StartBackoff Died(DateTimeOffset now, string reason) =>
        new(0, Deaths + 1, Deaths == 0 ? now : now + Pause(Deaths - 1, LongestAfterReady), reason);

    private static TimeSpan Pause(int doublings, TimeSpan most)
    {
        var pause = First * Math.Pow(2, Math.Min(doublings, 20));
        return pause > most ? most : pause;
    }
}
