namespace Sluice.Domain.Fleet;

/// <summary>The dispatch state of one endpoint at one moment of the Redis clock, read by one script.</summary>
public sealed record EndpointSnapshot
{
    /// <summary>The time of the Redis clock.</summary>
    public required DateTimeOffset Now { get; init; }

    /// <summary>The number of waiting tickets, of requests and of jobs.</summary>
    public required int Queued { get; init; }

    /// <summary>The number of waiting tickets with low priority.</summary>
    public int LowPriority { get; init; }

    /// <summary>The number of queued jobs.</summary>
    public int JobsQueued { get; init; }

    /// <summary>The number of running jobs.</summary>
    public int JobsRunning { get; init; }

    /// <summary>How long the oldest ticket has waited; zero if none waits.</summary>
    public required TimeSpan OldestWait { get; init; }

    /// <summary>
    /// The highest number of concurrent requests since the last reports of the gateways, summed over gateways.
    /// </summary>
    public required int Busy { get; init; }

    /// <summary>Requests completed since the endpoint was created; a monotonic counter.</summary>
    public required long Completed { get; init; }

    /// <summary>
    /// How long slots were in use since the endpoint was created, summed over slots; a monotonic counter.
    /// </summary>
    public TimeSpan Served { get; init; }

    /// <summary>Why requests without a worker are rejected; null: they wait.</summary>
    public BlockedStart? Blocked { get; init; }

    /// <summary>Requests that were rejected as blocked since the last start: demand for the next start.</summary>
    public long Refused { get; init; }

    /// <summary>Mean tokens that a waiting ticket may use, of the first tickets of the queue.</summary>
    public double TokensPerTicket { get; init; }

    /// <summary>The ready and draining workers.</summary>
    public required IReadOnlyList<WorkerSlots> Workers { get; init; }

    /// <summary>The gateways that hold a lease, with their slots.</summary>
    public required IReadOnlyList<HeldSlots> Leases { get; init; }
}
