namespace Sluice.Domain.Webhooks;

/// <summary>The outcome of a delivery attempt.</summary>
public enum WebhookVerdict
{
    /// <summary>The receiver answered with a 2xx status.</summary>
    Delivered,

    /// <summary>The delivery must be retried later.</summary>
    Again,

    /// <summary>The receiver wants no more deliveries (410), or the target is not allowed.</summary>
    GivenUp,
}

/// <summary>Decides when a delivery is retried. Pure functions.</summary>
public static class WebhookSchedule
{
    /// <summary>The pauses that the Standard Webhooks specification proposes, 75 hours in total.</summary>
    public static IReadOnlyList<TimeSpan> Pauses { get; } =
    [
        TimeSpan.FromSeconds(5), TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(30), TimeSpan.FromHours(2),
        TimeSpan.FromHours(5), TimeSpan.FromHours(10), TimeSpan.FromHours(14), TimeSpan.FromHours(20),
        TimeSpan.FromHours(24),
    ];

    /// <summary>The longest Retry-After that is respected.</summary>
    private static readonly TimeSpan LongestAsked = TimeSpan.FromDays(1);

    /// <summary>Classifies the response to a delivery.</summary>
    /// <param name="status">The HTTP status of the response; 0: there was none.</param>
    public static WebhookVerdict Classify(int status) => status switch
    {
        >= 200 and < 300 => WebhookVerdict.Delivered,
        410 => WebhookVerdict.GivenUp,
        // Redirects are not followed: they would bypass the check of the target.
        _ => WebhookVerdict.Again,
    };

    /// <summary>Returns the pause before the next attempt.</summary>
    /// <param name="tries">The number of attempts so far, at least 1.</param>
    /// <param name="asked">The Retry-After of the receiver.</param>
    /// <param name="random">0 to 1: spreads deliveries that failed together, by up to 10 %.</param>
    /// <returns>The pause; null: that was the last attempt.</returns>
    public static TimeSpan? Next(int tries, TimeSpan? asked, double random)
    {
        if (tries > Pauses.Count) return null;
        var pause = Pauses[tries - 1] * (1 + 0.1 * random);
        if (asked is { } wanted && wanted > pause) return wanted < LongestAsked ? wanted : LongestAsked;
        return pause;
    }
}
