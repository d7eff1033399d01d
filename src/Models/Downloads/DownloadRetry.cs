namespace Sluice.Models.Downloads;

/// <summary>
/// Decides whether a failed attempt of a download is repeated. Pure. An attempt that received bytes starts the count
/// again, so a connection that is cut often delays a download and does not end it.
/// </summary>
public static class DownloadRetry
{
    /// <summary>Maximum number of consecutive attempts that receive no byte.</summary>
    public const int MaxWithoutProgress = 6;

    private static readonly TimeSpan First = TimeSpan.FromSeconds(0.25);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LongestRequested = TimeSpan.FromMinutes(1);

    /// <summary>Returns the pause before the next attempt; null: the download has failed.</summary>
    /// <param name="withoutProgress">
    /// Number of consecutive attempts without progress, this one included; 0: this attempt received bytes.
    /// </param>
    /// <param name="requested">The <c>Retry-After</c> of the server; null: none.</param>
    public static TimeSpan? Pause(int withoutProgress, TimeSpan? requested)
    {
        if (withoutProgress >= MaxWithoutProgress) return null;
        var pause = First * Math.Pow(2, Math.Max(0, withoutProgress - 1));
        if (requested > pause) pause = requested.Value > LongestRequested ? LongestRequested : requested.Value;
        else if (pause > Longest) pause = Longest;
        return pause;
    }
}
