using Sluice.Domain.Fleet;

namespace Sluice.Dispatch;

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
/// <param name="Preferred">The worker that it prefers; null: none.</param>
/// <param name="Tokens">
/// The tokens that it may use at most, prompt and answer. Workers that report how many they can hold get it only if
/// they have room for them. 0: it generates no text.
/// </param>
public readonly record struct SlotRequest(
    string Flow,
    TimeSpan Deadline,
    int MaxDepth,
    bool Front = false,
    double Weight = 1,
    bool Isolated = false,
    PreferredWorker? Preferred = null,
    long Tokens = 0);
