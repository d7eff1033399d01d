namespace Sluice.Core.Gpus;

/// <summary>Devices that no wish tells apart, with where they are: what a wish asks is checked once for all of them.</summary>
internal sealed class DeviceKind(int id, Gpu sample, MigSlice? slice)
{
    public int Id { get; } = id;

    public string Name { get; } = sample.Name;

    public GpuModel? Model { get; } = Catalogue.Find(sample.Name);

    /// <summary>Null: whole GPUs.</summary>
    public MigProfile? Profile { get; } = slice?.Profile;

    public long MemoryMiB { get; } = slice?.Profile.MemoryMiB ?? sample.MemoryMiB;

    public ComputeCapability ComputeCapability { get; } = sample.ComputeCapability;

    public string? Driver { get; } = sample.Driver;

    public ComputeMode ComputeMode { get; } = sample.ComputeMode;

    public ConfidentialState Confidential { get; } = sample.Confidential;

    /// <summary>A GPU in MIG mode is a device only to say that it is none: its slices are.</summary>
    public bool Cut { get; } = slice is null && sample.MigEnabled;

    /// <summary>Every device of this kind, in the inventory's order.</summary>
    public List<Device> Devices { get; } = [];

    /// <summary>They as NVLink groups, or slices of one GPU.</summary>
    public List<DeviceGroup> Groups { get; } = [];

    /// <summary>They by machine.</summary>
    public List<DeviceGroup> Nodes { get; } = [];

    /// <summary>The best connection that any two of one machine have.</summary>
    public int BestRank { get; set; }

    /// <summary>For people: <c>NVIDIA A100-SXM4-80GB</c>, <c>MIG 1g.10gb of NVIDIA ...</c>.</summary>
    public override string ToString() => Profile is null ? Name : $"MIG {Profile} of {Name}";
}

/// <summary>Devices among which it does not matter which: GPUs that NVLinks connect, slices of one GPU, or all of a kind on one machine.</summary>
/// <param name="id">Its number among all groups of the layout.</param>
/// <param name="devices">In the inventory's order.</param>
internal sealed class DeviceGroup(int id, IReadOnlyList<Device> devices)
{
    public int Id { get; } = id;

    public IReadOnlyList<Device> Devices { get; } = devices;
}

/// <summary>A GPU or a slice.</summary>
/// <param name="kind">Its kind.</param>
/// <param name="gpu">The GPU that it is, or is cut from.</param>
/// <param name="uuid">Its own UUID.</param>
/// <param name="order">Its number among all devices of the layout.</param>
internal sealed class Device(DeviceKind kind, Gpu gpu, string uuid, int order)
{
    public DeviceKind Kind { get; } = kind;

    public Gpu Gpu { get; } = gpu;

    public string Uuid { get; } = uuid;

    public int Order { get; } = order;

    public DeviceGroup Group { get; set; } = null!;

    public DeviceGroup Node { get; set; } = null!;
}
