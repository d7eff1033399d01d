using Sluice.Domain.Gpus;

namespace Sluice.Domain.Placement;

/// <summary>A request of a pod for devices.</summary>
public sealed record GpuRequest
{
    /// <summary>Identifies the request in the result.</summary>
    public required string Id { get; init; }

    public required string EndpointId { get; init; }

    public required GpuRequirements Needs { get; init; }

    /// <summary>Priority of the endpoint. Higher priorities are placed first.</summary>
    public int Priority { get; init; }

    /// <summary>Weight of the endpoint relative to others of its priority, 1 or more.</summary>
    public int Weight { get; init; } = 1;
}
