using System.Text.Json.Serialization;

namespace Sluice.Gateway.Jobs;

/// <summary>The jobs and workers of an endpoint by state.</summary>
/// <param name="Jobs">The number of jobs by state.</param>
/// <param name="Workers">The number of workers by state.</param>
/// <param name="Capacity">Why workers wait for devices. The field is omitted if no worker waits.</param>
public sealed record JobHealth(
    JobCountsByState Jobs,
    WorkersByState Workers,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] CapacityShortage? Capacity);

/// <summary>
/// The jobs of an endpoint. <paramref name="Completed"/>, <paramref name="Failed"/>, <paramref name="Retried"/>,
/// <paramref name="Cancelled"/> and <paramref name="TimedOut"/> are totals; the others are current.
/// </summary>
public sealed record JobCountsByState(
    long Completed, long Failed, long InProgress, long InQueue, long Retried, long Cancelled, long TimedOut);

/// <summary>The workers of an endpoint. <paramref name="Throttled"/> workers wait for devices.</summary>
public sealed record WorkersByState(
    int Idle, int Initializing, int Ready, int Running, int Throttled, int Unhealthy);

/// <summary>Why workers wait for devices.</summary>
/// <param name="Reason">A code of <see cref="WaitReason"/>.</param>
/// <param name="Detail">The reason, as text.</param>
/// <param name="Since">When the wait began.</param>
public sealed record CapacityShortage(string Reason, string Detail, DateTimeOffset Since);
