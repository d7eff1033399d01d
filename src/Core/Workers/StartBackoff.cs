namespace Sluice.Core.Workers;

/// <summary>
/// The brake on crash loops: each start that failed doubles the pause to the next, from half a second to five minutes,
/// which makes at most 12 starts in 10 minutes. A worker that was ready for ten seconds, or a changed declaration, ends it.
/// </summary>
/// <param name="Failures">Starts that failed in a row.</param>
/// <param name="NextTry">No start before this.</param>
/// <param name="Reason">Why the last one failed.</param>
public readonly record struct StartBackoff(int Failures, DateTimeOffset NextTry, string Reason)
{
    /// <summary>From this many failures on, with no worker up, requests are told instead of kept waiting.</summary>
    public const int BlockAfter = 3;

    /// <summary>A worker that was ready this long has proven itself.</summary>
    public static readonly TimeSpan ProvenAfter = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan First = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);

    public static StartBackoff None { get; } = new(0, DateTimeOffset.MinValue, "");

    public bool Blocks => Failures >= BlockAfter;

    /// <summary>One more failed start.</summary>
    public StartBackoff Failed(DateTimeOffset now, string reason)
    {
        var doublings = Math.Min(Failures, 20);
        var pause = First * Math.Pow(2, doublings);
        return new StartBackoff(Failures + 1, now + (pause > Longest ? Longest : pause), reason);
    }
}
