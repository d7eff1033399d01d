namespace Sluice.Storage.Audit;

/// <summary>Requests of one client that were refused for the same reason within a short time.</summary>
public sealed record RefusedLogin
{
    /// <summary>The position in the log. Empty until stored.</summary>
    public string Id { get; init; } = "";

    /// <summary>The time of the first request, by the clock of the gateway.</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>The IP address of the client; <c>others</c> if there were too many clients at that time.</summary>
    public required string From { get; init; }

    /// <summary>
    /// Why: <c>malformed</c>, <c>unknown</c>, <c>expired</c>, <c>forbidden</c>, or <c>session</c>, which has ended.
    /// </summary>
    public required string Reason { get; init; }

    /// <summary>The id of the key, as the request gave it; empty if it has none.</summary>
    public string Key { get; init; } = "";

    /// <summary>Method and path of the first request, at most 200 characters.</summary>
    public string Action { get; init; } = "";

    /// <summary>The number of requests.</summary>
    public required long Count { get; init; }
}
