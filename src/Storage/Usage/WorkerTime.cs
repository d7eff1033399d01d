using Sluice.Domain.Usage;

namespace Sluice.Storage.Usage;

/// <summary>A worker whose time is counted.</summary>
/// <param name="PodId">The pod.</param>
/// <param name="Row">The row of its time, without a key.</param>
/// <param name="StartedAt">When its start was ordered.</param>
/// <param name="ReadyAt">When it became ready; null: it starts.</param>
public sealed record WorkerTime(string PodId, UsageRow Row, DateTimeOffset StartedAt, DateTimeOffset? ReadyAt);
