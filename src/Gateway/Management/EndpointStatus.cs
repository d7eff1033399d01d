using System.Text.Json.Serialization;
using Sluice.Domain.Scaling;

namespace Sluice.Gateway.Management;

/// <summary>The state of an endpoint, in the field <c>status</c> of its view.</summary>
/// <param name="Workers">The number of workers by state.</param>
/// <param name="Queued">Requests and jobs that wait for a slot.</param>
/// <param name="Running">Requests and jobs that have a slot.</param>
/// <param name="Completed">Requests and jobs that have ended.</param>
/// <param name="Blocked">Why no worker can start. Null if one can.</param>
/// <param name="FailedStarts">The last failed starts. Null if the last start did not fail.</param>
/// <param name="Rollout">The rollout in progress. Null if there is none.</param>
public sealed record EndpointStatus(
    IReadOnlyDictionary<string, int> Workers,
    int Queued,
    int Running,
    long Completed,
    string? Blocked,
    StartTrouble? FailedStarts,
    RolloutView? Rollout)
{
    /// <summary>The workers that wait for devices. The field is omitted if there is none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MissingCapacity? NoCapacity { get; init; }
}

/// <summary>Workers that wait for devices, and why.</summary>
/// <param name="Workers">The number of workers.</param>
/// <param name="Never">Whether no device of this machine can ever fit.</param>
/// <param name="Part">The part of the requirement that does not fit.</param>
/// <param name="Detail">The reason.</param>
public sealed record MissingCapacity(int Workers, bool Never, string Part, string Detail);
