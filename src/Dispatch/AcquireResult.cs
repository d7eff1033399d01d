using Sluice.Domain.Fleet;

namespace Sluice.Dispatch;

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
        $"No worker was free within {request.Deadline.TotalSeconds:0.#} s (queue.timeout of the endpoint).",
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
        $"The queue has {depth} waiting requests; its limit is {request.MaxDepth} (queue.maxDepth of the endpoint).",
        rate.TimeFor(depth),
        depth);
}
