namespace Sluice.Core.Gpus;

/// <summary>
/// Devices with equal properties, and their location. Requirements are checked once for all devices of a kind.
/// </summary>
internal sealed class DeviceKind(int id, Gpu sample, MigSlice? slice)
{
    public int Id { get; } = id;

    public string Name { get; } = sample.Name;

    public GpuModel? Model { get; } = GpuModelCatalog.Find(sample.Name);

    /// <summary>The MIG profile; null for whole GPUs.</summary>
    public MigProfile? Profile { get; } = slice?.Profile;

    public long MemoryMiB { get; } = slice?.Profile.MemoryMiB ?? sample.MemoryMiB;

    public ComputeCapability ComputeCapability { get; } = sample.ComputeCapability;

    public string? Driver { get; } = sample.Driver;

    public ComputeMode ComputeMode { get; } = sample.ComputeMode;

    public ConfidentialState Confidential { get; } = sample.Confidential;

    /// <summary>Whether this is a GPU in MIG mode. It cannot be allocated itself, only its slices.</summary>
    public bool Cut { get; } = slice is null && sample.MigEnabled;

    /// <summary>All devices of this kind, in the order of the inventory.</summary>
    public List<Device> Devices { get; } = [];

    /// <summary>The devices by NVLink group, or slices by GPU.</summary>
    public List<DeviceGroup> Groups { get; } = [];

    /// <summary>The devices by machine.</summary>
    public List<DeviceGroup> Nodes { get; } = [];

    /// <summary>The highest rank of a connection between two devices of one machine.</summary>
    public int BestRank { get; set; }

    /// <summary>The display name: <c>NVIDIA A100-SXM4-80GB</c>, <c>MIG 1g.10gb of NVIDIA ...</c>.</summary>
    public override string ToString() => Profile is null ? Name : $"MIG {Profile} of {Name}";
}

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
