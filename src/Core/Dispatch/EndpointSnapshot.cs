namespace Sluice.Core.Dispatch;

/// <summary>What dispatch knows of one endpoint at one moment of Redis' clock, read by one script.</summary>
public sealed record EndpointSnapshot
{
    /// <summary>Redis' clock.</summary>
    public required DateTimeOffset Now { get; init; }

    /// <summary>Tickets that wait, of requests and of jobs.</summary>
    public required int Queued { get; init; }

    /// <summary>Those of them that go after everything else.</summary>
    public int LowPriority { get; init; }

    /// <summary>Jobs that wait.</summary>
    public int JobsQueued { get; init; }

    /// <summary>Jobs that an attempt runs.</summary>
    public int JobsRunning { get; init; }

    /// <summary>How long the oldest ticket has waited; zero when none waits.</summary>
    public required TimeSpan OldestWait { get; init; }

    /// <summary>Most requests that ran at once since the gateways' last reports, summed over gateways.</summary>
    public required int Busy { get; init; }

    /// <summary>Requests that ended since the endpoint's first day; a growing counter.</summary>
    public required long Completed { get; init; }

    /// <summary>How long slots were in use since the endpoint's first day, summed over slots; a growing counter.</summary>
    public TimeSpan Served { get; init; }

    /// <summary>Why requests that find no worker are refused; null: they wait.</summary>
    public BlockedStart? Blocked { get; init; }

    /// <summary>Requests that were refused for it since the last start: demand for the next one.</summary>
    public long Refused { get; init; }

    /// <summary>Workers that dispatch knows: ready or draining.</summary>
    public required IReadOnlyList<WorkerSlots> Workers { get; init; }

    /// <summary>Gateways that hold a lease, with what they hold.</summary>
    public required IReadOnlyList<SlotLease> Leases { get; init; }
}

/// <summary>One worker's slots: <c>Free + Leased == Capacity</c> while it is ready.</summary>
public sealed record WorkerSlots(string PodId, int Capacity, int Free, int Leased, bool Draining);

/// <summary>Slots of one worker that one gateway holds until it gives them back or its lease ends.</summary>
public sealed record SlotLease(string Holder, string PodId, int Slots);
