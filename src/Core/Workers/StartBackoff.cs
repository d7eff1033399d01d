namespace Sluice.Core.Workers;

/// <summary>
/// The brake on crash loops. A start that failed doubles the pause to the next, from half a second to five minutes, which
/// makes at most 12 starts in 10 minutes. A worker that died after it was ready is replaced at once; if its successors die
/// young too, the pause grows to one second and no further: their starts do work. A worker that was ready for ten
/// seconds, or a changed declaration, ends it.
/// </summary>
/// <param name="Failures">Starts that failed in a row.</param>
/// <param name="Deaths">Workers in a row that were ready and died young.</param>
/// <param name="NextTry">No start before this.</param>
/// <param name="Reason">Why the last one failed.</param>
public readonly record struct StartBackoff(int Failures, int Deaths, DateTimeOffset NextTry, string Reason)
{
    /// <summary>From this many failed starts on, with no worker up, requests are told instead of kept waiting.</summary>
    public const int BlockAfter = 3;

    /// <summary>A worker that was ready this long has proven itself.</summary>
    public static readonly TimeSpan ProvenAfter = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan First = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan LongestAfterReady = TimeSpan.FromSeconds(1);

    public static StartBackoff None { get; } = new(0, 0, DateTimeOffset.MinValue, "");

    public bool Blocks => Failures >= BlockAfter;

    /// <summary>One more start failed.</summary>
    public StartBackoff Failed(DateTimeOffset now, string reason) =>
        new(Failures + 1, Deaths, now + Pause(Failures, Longest), reason);

    /// <summary>A worker died after it had been ready.</summary>
    public StartBackoff Died(DateTimeOffset now, string reason) =>
        new(0, Deaths + 1, Deaths == 0 ? now : now + Pause(Deaths - 1, LongestAfterReady), reason);

    private static TimeSpan Pause(int doublings, TimeSpan most)
    {
        var pause = First * Math.Pow(2, Math.Min(doublings, 20));
        return pause > most ? most : pause;
    }
}
