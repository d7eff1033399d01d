namespace Sluice.Domain.Placement;

/// <summary>The devices of a pod.</summary>
public sealed record GpuAllocation(string PodId, string EndpointId, IReadOnlyList<HeldDevice> Devices)
{
    /// <summary>The node of the devices; null: there are none, or an earlier build stored the allocation.</summary>
    public string? Node { get; init; }

    /// <summary>Their type and number (<c>Pod.Gpu</c>); null: unknown.</summary>
    public string? Gpu { get; init; }
}
