namespace Sluice.Domain.Gpus;

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
