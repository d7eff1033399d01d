using System.Text.Json.Serialization;

namespace Sluice.Domain.Fleet;

/// <summary>
/// The reason why the workers of an endpoint do not start, as text for the client, and the time of the next attempt.
/// </summary>
/// <param name="Reason">The reason.</param>
/// <param name="RetryAt">
/// When requests are accepted again; <see cref="DateTimeOffset.MaxValue"/>: after an operator changes something.
/// </param>
/// <param name="ByPolicy">Whether a setting of an operator (a pause, a spend limit) is the cause, not a fault.</param>
/// <param name="PublicReason">
/// The reason for clients without an API key, if the reason contains text from a worker; null: the reason.
/// </param>
public sealed record BlockedStart(
    string Reason,
    DateTimeOffset RetryAt,
    bool ByPolicy = false,
    string? PublicReason = null)
{
    /// <summary>
    /// The retry delay if the end of the block is unknown: an operator may end the block at any time.
    /// </summary>
    private static readonly TimeSpan AskAgain = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan Soonest = TimeSpan.FromSeconds(1);

    /// <summary>Whether the end of the block is unknown.</summary>
    [JsonIgnore]
    public bool IsOpenEnded => RetryAt == DateTimeOffset.MaxValue;

    /// <summary>Returns the reason as the client may see it.</summary>
    public string ReasonFor(bool anonymous) => anonymous ? PublicReason ?? Reason : Reason;

    /// <summary>
    /// Returns the <c>Retry-After</c> of a rejected request: the time until <see cref="RetryAt"/>, at least 1 s; 5 s if
    /// the end is unknown.
    /// </summary>
    public TimeSpan RetryAfter(DateTimeOffset now)
    {
        if (IsOpenEnded) return AskAgain;
        return RetryAt - now > Soonest ? RetryAt - now : Soonest;
    }
}
