namespace Sluice.Domain.Placement;

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
