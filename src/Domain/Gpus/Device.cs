namespace Sluice.Domain.Gpus;

/// <summary>
/// Interchangeable devices: GPUs connected by NVLinks, slices of one GPU, or all devices of a kind on one machine.
/// </summary>
/// <param name="id">The index among all groups of the layout.</param>
/// <param name="devices">The devices in the order of the inventory.</param>
internal sealed class DeviceGroup(int id, IReadOnlyList<Device> devices)
{
    public int Id { get; } = id;

    public IReadOnlyList<Device> Devices { get; } = devices;
}

/// <summary>A GPU or a MIG slice.</summary>
/// <param name="kind">The kind of the device.</param>
/// <param name="gpu">The GPU, or the GPU that contains the slice.</param>
/// <param name="uuid">The UUID of the device.</param>
/// <param name="order">The index among all devices of the layout.</param>
internal sealed class Device(DeviceKind kind, Gpu gpu, string uuid, int order)
{
    public DeviceKind Kind { get; } = kind;

    public Gpu Gpu { get; } = gpu;

    public string Uuid { get; } = uuid;

    public int Order { get; } = order;

    public DeviceGroup Group { get; set; } = null!;

    public DeviceGroup Node { get; set; } = null!;
}
