namespace Sluice.Core.Gpus;

/// <summary>Devices that no wish tells apart, with where they are: what a wish asks is checked once for all of them.</summary>
internal sealed class DeviceKind(Gpu sample, MigSlice? slice)
{
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

    /// <summary>Groups with free devices, those with the fewest first.</summary>
    public SortedSet<DeviceGroup> Groups { get; } = new(DeviceGroup.FewestFirst);

    /// <summary>Machines with free devices, those with the fewest first.</summary>
    public SortedSet<DeviceGroup> Nodes { get; } = new(DeviceGroup.FewestFirst);

    /// <summary>GPUs that pods have parts of, those with the least left first.</summary>
    public SortedSet<Device> Opened { get; } = new(Comparer<Device>.Create((a, b) => (a.LeftMiB, a.Order).CompareTo((b.LeftMiB, b.Order))));

    /// <summary>The best connection that any two of one machine have.</summary>
    public int BestRank { get; set; }

    /// <summary>The most of them on one machine.</summary>
    public int MostTogether { get; set; }

    /// <summary>Those that a pod may have now.</summary>
    public int Free => Nodes.Sum(n => n.Free);

    /// <summary>For people: <c>NVIDIA A100-SXM4-80GB</c>, <c>MIG 1g.10gb of NVIDIA ...</c>.</summary>
    public override string ToString() => Profile is null ? Name : $"MIG {Profile} of {Name}";

    /// <summary>What makes devices of one kind.</summary>
    public static object KeyOf(Gpu gpu, MigSlice? slice) =>
        (gpu.Name, gpu.MemoryMiB, gpu.ComputeCapability, gpu.Driver, gpu.ComputeMode, gpu.Confidential, gpu.MigEnabled, slice?.Profile);
}

/// <summary>Devices among which it does not matter which: GPUs that NVLinks connect, slices of one GPU, or all of a kind on one machine.</summary>
internal sealed class DeviceGroup(int order)
{
    public static readonly Comparer<DeviceGroup> FewestFirst = Comparer<DeviceGroup>.Create((a, b) => (a.Free, a.Order).CompareTo((b.Free, b.Order)));

    public int Order { get; } = order;

    public int Free { get; set; }

    public List<Device> Devices { get; } = [];
}

/// <summary>A GPU or a slice, and who has it, while wishes are placed.</summary>
internal sealed class Device(DeviceKind kind, Gpu gpu, string uuid, int order)
{
    public DeviceKind Kind { get; } = kind;

    public Gpu Gpu { get; } = gpu;

    public string Uuid { get; } = uuid;

    public int Order { get; } = order;

    public DeviceGroup Group { get; set; } = null!;

    public DeviceGroup Node { get; set; } = null!;

    /// <summary>Pods that have it or a part of it.</summary>
    public List<string> Users { get; } = [];

    /// <summary>Memory that nobody has, MiB.</summary>
    public long LeftMiB { get; set; } = kind.MemoryMiB;

    /// <summary>Whether a pod has it alone.</summary>
    public bool Whole { get; set; }

    /// <summary>The endpoint of higher priority that it is kept for; null: none.</summary>
    public string? KeptFor { get; set; }

    /// <summary>Whether a pod may have all of it now.</summary>
    public bool IsFree => Users.Count == 0 && Gpu.Fault is null && KeptFor is null;
}
