namespace Sluice.Core.Dispatch;

/// <summary>Why a request did not acquire a slot.</summary>
public enum AcquireRefusal
{
    /// <summary>A slot was granted.</summary>
    None,

    /// <summary>The endpoint's queue is at its limit.</summary>
    QueueFull,

    /// <summary>The request waited longer than the queue timeout of the endpoint.</summary>
    QueueTimeout,

    /// <summary>No worker is running and none can start; the detail contains the reason.</summary>
    CannotStart,

    /// <summary>Redis was unreachable until the store timeout of the request passed.</summary>
    StoreUnreachable,
}

/// <summary>The result of a slot request: a slot, or the reason for the rejection.</summary>
/// <param name="Slot">The slot; the caller must dispose it.</param>
/// <param name="Refusal">The reason for the rejection.</param>
/// <param name="Detail">The reason as text for the client.</param>
/// <param name="RetryAfter">When the client should retry, from the measured service rate.</param>
/// <param name="Queued">The number of tickets in the queue at the time of the rejection.</param>
/// <param name="Waited">Whether the request waited for a slot.</param>
/// <param name="PublicDetail">
/// The text for clients without an API key, if the detail is not public; null: the detail.
/// </param>
public readonly record struct AcquireResult(
    Slot? Slot,
    AcquireRefusal Refusal = AcquireRefusal.None,
    string Detail = "",
    TimeSpan RetryAfter = default,
    int Queued = 0,
    bool Waited = false,
    string? PublicDetail = null)
{
    internal static AcquireResult Expired(SlotRequest request, ServiceRate rate, int depth) => new(
        null,
        AcquireRefusal.QueueTimeout,
        $"no worker was free within {request.Deadline.TotalSeconds:0.#} s",
        rate.TimeFor(Math.Max(1, depth)),
        depth);

    internal static AcquireResult Blocked(BlockedStart blocked, DateTimeOffset now) => new(
        null,
        AcquireRefusal.CannotStart,
        blocked.Reason,
        blocked.RetryAfter(now),
        PublicDetail: blocked.PublicReason);

    internal static AcquireResult Full(SlotRequest request, ServiceRate rate, int depth) => new(
        null,
        AcquireRefusal.QueueFull,
        $"{depth} requests are waiting; the limit is {request.MaxDepth}",
        rate.TimeFor(depth),
        depth);
}

/// <summary>A request for a slot: its flow and its limits.</summary>
/// <param name="Flow">The unit of fair sharing: the id of the API key, or the public flow.</param>
/// <param name="Deadline">The longest time to wait, from now.</param>
/// <param name="MaxDepth">The queue limit.</param>
/// <param name="Front">
/// Whether the request had a slot whose worker was lost. It is queued before all others and is never rejected because
/// of the queue limit.
/// </param>
/// <param name="Weight">The share of the flow relative to other flows; the default is 1.</param>
/// <param name="Isolated">
/// Whether a worker was lost while it processed the request. The request gets a worker without other work, before all
/// others.
/// </param>
public readonly record struct SlotRequest(
    string Flow,
    TimeSpan Deadline,
    int MaxDepth,
    bool Front = false,
    double Weight = 1,
    bool Isolated = false);
