namespace Sluice.Core.Dispatch;

/// <summary>
/// Where slots come from: workers enter and leave dispatch here. Each method is one script; each may be called again
/// with the same pod without harm.
/// </summary>
public abstract class WorkerSlotStore
{
    /// <summary>Adds a ready worker's slots, and grants them to waiting tickets.</summary>
    public abstract Task UpAsync(string endpointId, WorkerAddress worker, CancellationToken ct);

    /// <summary>Stops granting a worker's slots; those in use stay valid until given back.</summary>
    public abstract Task DrainAsync(string endpointId, string podId, CancellationToken ct);

    /// <summary>Forgets a worker that is gone.</summary>
    public abstract Task DownAsync(string endpointId, string podId, CancellationToken ct);

    /// <summary>Reads everything about one endpoint.</summary>
    public abstract Task<EndpointSnapshot> SnapshotAsync(string endpointId, CancellationToken ct);

    /// <summary>Says (or, with null, takes back) that no worker of this endpoint can start, and why. While it is said
    /// and no worker is up, requests are answered 503 with this reason instead of waiting.</summary>
    public abstract Task BlockAsync(string endpointId, BlockedStart? blocked, CancellationToken ct);

    /// <summary>Raised with an endpoint id when tickets queue for it: it may need workers now.</summary>
    public abstract event Action<string>? Woken;
}

/// <summary>Why an endpoint's workers do not start, in words for the client, and when the next try is.</summary>
public sealed record BlockedStart(string Reason, DateTimeOffset RetryAt);
