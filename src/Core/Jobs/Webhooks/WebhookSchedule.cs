namespace Sluice.Core.Jobs.Webhooks;

/// <summary>What a try to deliver came to.</summary>
public enum WebhookVerdict
{
    /// <summary>2xx.</summary>
    Delivered,

    /// <summary>Try again later.</summary>
    Again,

    /// <summary>The receiver wants no more (410), or the target is not allowed.</summary>
    GivenUp,
}

/// <summary>When a delivery is tried again. Pure.</summary>
public static class WebhookSchedule
{
    /// <summary>The pauses that the Standard Webhooks specification proposes, 75 hours in all.</summary>
    public static IReadOnlyList<TimeSpan> Pauses { get; } =
    [
        TimeSpan.FromSeconds(5), TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(30), TimeSpan.FromHours(2), TimeSpan.FromHours(5),
        TimeSpan.FromHours(10), TimeSpan.FromHours(14), TimeSpan.FromHours(20), TimeSpan.FromHours(24),
    ];

    /// <summary>Longest Retry-After that is followed.</summary>
    private static readonly TimeSpan LongestAsked = TimeSpan.FromDays(1);

    /// <param name="status">HTTP status of the answer; 0: there was none.</param>
    public static WebhookVerdict Judge(int status) => status switch
    {
        >= 200 and < 300 => WebhookVerdict.Delivered,
        410 => WebhookVerdict.GivenUp,
        // Redirects are not followed: they would lead around what was checked.
        _ => WebhookVerdict.Again,
    };

    /// <param name="tries">Tries so far, at least one.</param>
    /// <param name="asked">The receiver's Retry-After.</param>
    /// <param name="random">0 to 1: spreads what failed together, by a tenth.</param>
    /// <returns>The pause before the next try; null: that was the last one.</returns>
    public static TimeSpan? Next(int tries, TimeSpan? asked, double random)
    {
        if (tries > Pauses.Count) return null;
        var pause = Pauses[tries - 1] * (1 + 0.1 * random);
        if (asked is { } wanted && wanted > pause) return wanted < LongestAsked ? wanted : LongestAsked;
        return pause;
    }
}
