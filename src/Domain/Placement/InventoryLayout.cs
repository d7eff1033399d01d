using System.Runtime.CompilerServices;
using Sluice.Domain.Gpus;

namespace Sluice.Domain.Placement;

/// <summary>
/// Indexes an inventory for placement: devices by kind, machine and NVLink group. Created once per inventory, and
/// immutable.
/// </summary>
internal sealed class InventoryLayout
{
    private static readonly ConditionalWeakTable<Inventory, InventoryLayout> Cache = [];

    private readonly List<DeviceKind> kinds = [];
    private readonly Dictionary<string, Device> byUuid = [];
    private readonly List<Device> devices = [];

    private InventoryLayout(Inventory inventory)
    {
        var byKey = new Dictionary<Key, DeviceKind>();
        foreach (var gpu in inventory.Gpus)
        {
            Add(gpu, null);
            foreach (var slice in gpu.Slices) Add(gpu, slice);
        }

        Connections = new GpuTopology(inventory.Links, byUuid);
        foreach (var kind in kinds.Where(k => !k.Cut)) Sort(kind);

        void Add(Gpu gpu, MigSlice? slice)
        {
            var key = new Key(gpu.Name, gpu.MemoryMiB, gpu.ComputeCapability, gpu.Driver, gpu.ComputeMode,
                gpu.Confidential, gpu.MigEnabled, slice?.Profile);
            if (!byKey.TryGetValue(key, out var kind))
                kinds.Add(byKey[key] = kind = new DeviceKind(kinds.Count, gpu, slice));
            var device = new Device(kind, gpu, slice?.Uuid ?? gpu.Uuid, devices.Count);
            if (!byUuid.TryAdd(device.Uuid, device)) return;
            devices.Add(device);
            kind.Devices.Add(device);
        }
    }

    public IReadOnlyList<DeviceKind> Kinds => kinds;

    public IReadOnlyList<Device> Devices => devices;

    public GpuTopology Connections { get; }

    /// <summary>Number of groups and machines of all kinds.</summary>
    public int GroupCount { get; private set; }

    /// <summary>Returns the layout of an inventory.</summary>
    public static InventoryLayout GetOrCreate(Inventory inventory) =>
        Cache.GetValue(inventory, i => new InventoryLayout(i));

    /// <summary>Returns the device with this UUID; null if the inventory does not contain it.</summary>
    public Device? Find(string uuid) => byUuid.GetValueOrDefault(uuid);

    /// <summary>The properties that distinguish kinds of devices.</summary>
    private readonly record struct Key(
        string Name,
        long MemoryMiB,
        ComputeCapability ComputeCapability,
        string? Driver,
        ComputeMode ComputeMode,
        ConfidentialState Confidential,
        bool MigEnabled,
        MigProfile? Profile);

    /// <summary>Groups the devices of a kind by machine, and then by NVLink group or by GPU.</summary>
    private void Sort(DeviceKind kind)
    {
        foreach (var all in kind.Devices.GroupBy(d => d.Gpu.Node))
        {
            var node = new DeviceGroup(GroupCount++, [.. all]);
            kind.Nodes.Add(node);
            IEnumerable<IReadOnlyList<Device>> parts = kind.Profile is null
                ? Connections.Linked(node.Devices)
                : all.GroupBy(d => d.Gpu.Uuid).Select(g => g.ToList());
            foreach (var part in parts)
            {
                var group = new DeviceGroup(GroupCount++, part);
                kind.Groups.Add(group);
                foreach (var device in part)
                {
                    device.Group = group;
                    device.Node = node;
                }
            }

            kind.BestRank = Math.Max(kind.BestRank, Connections.BestPair(node.Devices));
        }
    }
}
