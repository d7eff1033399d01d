namespace Sluice.Gateway.Authentication;

/// <summary>The result of a key lookup.</summary>
public enum KeyVerdict
{
    Valid,

    /// <summary>No key was sent.</summary>
    Missing,

    /// <summary>The text is not a well-formed key: it is mistyped, truncated or not a Sluice key.</summary>
    Malformed,

    /// <summary>The key does not exist, or was revoked.</summary>
    Unknown,

    Expired,

    /// <summary>The ticket was used, has expired or never existed.</summary>
    TicketUsed,

    /// <summary>The session of the cookie has ended, or never existed.</summary>
    SessionEnded,

    /// <summary>The keys were not read from Redis for longer than <see cref="ApiKeyCache.StaleAfter"/>.</summary>
    CannotCheck,
}
