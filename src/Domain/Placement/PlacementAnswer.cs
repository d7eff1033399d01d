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

/// <summary>The result of one request: devices, or the reason of the refusal.</summary>
/// <param name="Request">The request.</param>
/// <param name="Devices">The allocated devices; empty if the request was refused.</param>
/// <param name="Refusal">Why the request was refused; null if it was not.</param>
public sealed record Placed(GpuRequest Request, IReadOnlyList<HeldDevice> Devices, PlacementRefusal? Refusal)
{
    /// <summary>The node of the devices; null if the request was refused.</summary>
    public string? Node { get; init; }

    /// <summary>The UUIDs of the devices, in the form of <c>CUDA_VISIBLE_DEVICES</c>.</summary>
    public IReadOnlyList<string> Uuids => [.. Devices.Select(d => d.Uuid)];
}

/// <summary>Why a request was refused.</summary>
/// <param name="Never">Whether these machines can never satisfy the request; otherwise devices are missing only
/// now.</param>
/// <param name="Part">The field of the requirements that cannot be satisfied: <c>types</c>, <c>mig</c>, <c>share</c>,
/// <c>precision</c>, <c>count</c>, ...; <c>gpu</c> if it is not a single field.</param>
/// <param name="Reason">The reason as text.</param>
/// <param name="WouldFit">Alternatives as text; empty if there is none.</param>
public sealed record PlacementRefusal(bool Never, string Part, string Reason, string WouldFit)
{
    public override string ToString() => WouldFit.Length > 0 ? $"{Reason}; {WouldFit}" : Reason;
}
