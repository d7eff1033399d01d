namespace Sluice.Core.Dispatch;

/// <summary>Why a request got no slot.</summary>
public enum AcquireRefusal
{
    /// <summary>A slot was granted.</summary>
    None,

    /// <summary>The endpoint's queue is at its limit.</summary>
    QueueFull,

    /// <summary>The request waited for the endpoint's queue timeout.</summary>
    QueueTimeout,

    /// <summary>No worker is up and none can start; the detail says why.</summary>
    CannotStart,

    /// <summary>Redis could not be asked until the request's patience ended.</summary>
    StoreUnreachable,
}

/// <summary>A slot, or the reason why there is none.</summary>
/// <param name="Slot">The slot; the caller must dispose it.</param>
/// <param name="Refusal">Why there is none.</param>
/// <param name="Detail">In words for the client.</param>
/// <param name="RetryAfter">When trying again makes sense, from the measured service rate.</param>
/// <param name="Queued">Tickets waiting when it was refused.</param>
/// <param name="Waited">Whether the request had to wait for a slot at all.</param>
/// <param name="PublicDetail">In words for one without a key, where the detail is not for everyone; null: the detail.</param>
public readonly record struct AcquireResult(Slot? Slot, AcquireRefusal Refusal = AcquireRefusal.None,
    string Detail = "", TimeSpan RetryAfter = default, int Queued = 0, bool Waited = false, string? PublicDetail = null)
{
    internal static AcquireResult Expired(SlotWish wish, ServiceRate rate, int depth) => new(null, AcquireRefusal.QueueTimeout,
        $"waited {wish.Deadline.TotalSeconds:0.#} s for a worker", rate.TimeFor(Math.Max(1, depth)), depth);

    internal static AcquireResult Blocked(BlockedStart blocked, DateTimeOffset now) =>
        new(null, AcquireRefusal.CannotStart, blocked.Reason, blocked.RetryAfter(now), PublicDetail: blocked.PublicReason);

    internal static AcquireResult Full(SlotWish wish, ServiceRate rate, int depth) => new(null, AcquireRefusal.QueueFull,
        $"{depth} requests wait already, the limit is {wish.MaxDepth}", rate.TimeFor(depth), depth);
}

/// <summary>What a request asks for: its flow (whose share it counts against) and its limits.</summary>
/// <param name="Flow">Fairness is between flows: the API key's id, or the public.</param>
/// <param name="Deadline">Longest wait from now.</param>
/// <param name="MaxDepth">The queue's limit.</param>
/// <param name="Front">It had a slot whose worker was lost: before all others, and never refused for depth.</param>
/// <param name="Weight">The flow's share beside the others' (1 is the common one).</param>
/// <param name="Isolated">A worker was lost with it: it gets a worker that has no other work, before all others.</param>
public readonly record struct SlotWish(string Flow, TimeSpan Deadline, int MaxDepth, bool Front = false, double Weight = 1, bool Isolated = false);
