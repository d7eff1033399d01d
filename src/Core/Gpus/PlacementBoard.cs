namespace Sluice.Core.Gpus;

/// <summary>
/// Who has which device while one call of <see cref="Placement.Place"/> runs. Devices are kept by kind, and in each kind by how much of
/// their group is left, so that a wish costs no walk over all of them.
/// </summary>
internal sealed class PlacementBoard
{
    private readonly List<DeviceKind> kinds = [];
    private readonly Dictionary<string, Device> byUuid = [];
    private readonly Dictionary<string, double> held = [];
    private readonly Dictionary<GpuNeeds, IReadOnlyList<IReadOnlyList<DeviceKind>>> tiers = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<GpuNeeds, PlacementRefusal> refused = new(ReferenceEqualityComparer.Instance);
    private readonly List<GpuWish> waiting = [];
    private readonly Connections connections;
    private readonly Inventory inventory;

    public PlacementBoard(Inventory inventory, IReadOnlyList<GpuHolding> running)
    {
        this.inventory = inventory;
        connections = new Connections(inventory.Links);
        AddDevices();
        foreach (var pod in running)
            foreach (var device in pod.Devices)
                if (byUuid.TryGetValue(device.Uuid, out var known)) Take(known, pod.EndpointId, pod.PodId, device.ShareMiB);
    }

    public IReadOnlyList<DeviceKind> Kinds => kinds;

    public Inventory Inventory => inventory;

    /// <summary>Whether NVLinks connect each two of so many devices of a kind, whoever has them.</summary>
    public bool AreLinked(DeviceKind kind, int count) => kind.Devices.Select(d => d.Node).Distinct()
        .Any(n => n.Devices.Count >= count && connections.Best(n.Devices, count).Rank >= Connections.NvLink);

    /// <summary>GPU memory that an endpoint's pods have, MiB.</summary>
    public double HeldMiB(string endpointId) => held.GetValueOrDefault(endpointId);

    /// <summary>Grants a wish, or says why not.</summary>
    public Placed Answer(GpuWish wish)
    {
        // Until devices are kept for others, what was refused stays refused: nothing is given back meanwhile.
        if (!refused.TryGetValue(wish.Needs, out var why))
        {
            if (Find(wish.Needs) is { } found)
            {
                foreach (var device in found) Take(device, wish.EndpointId, wish.Id, ShareOf(wish.Needs, device.Kind));
                return new Placed(wish, [.. found.Select(d => new HeldDevice(d.Uuid, ShareOf(wish.Needs, d.Kind)))], null);
            }

            refused[wish.Needs] = why = RefusalText.Of(this, wish.Needs, TiersOf(wish.Needs));
        }

        if (wish.Needs.Count > 1 && !why.Never) waiting.Add(wish);
        return new Placed(wish, [], why);
    }

    /// <summary>Ends a priority: what is free of the devices that its refused wishes for several wait for is kept from lower ones.</summary>
    public void Keep()
    {
        foreach (var wish in waiting)
        {
            var most = TiersOf(wish.Needs).SelectMany(t => t).SelectMany(k => k.Nodes).Where(n => n.Devices.Count >= wish.Needs.Count).OrderByDescending(n => n.Free).ThenBy(n => n.Order).FirstOrDefault();
            foreach (var device in most?.Devices.Where(d => d.IsFree).Take(wish.Needs.Count).ToList() ?? [])
                Change(device, () => device.KeptFor = wish.EndpointId);
        }

        waiting.Clear();
        refused.Clear();
    }

    /// <summary>Kinds that meet the needs: by preference of type, then the best fit first.</summary>
    private IReadOnlyList<IReadOnlyList<DeviceKind>> TiersOf(GpuNeeds needs)
    {
        if (!tiers.TryGetValue(needs, out var found))
            tiers[needs] = found = [.. kinds.Where(k => NeedsCheck.Meets(needs, k)).GroupBy(k => NeedsCheck.Preference(needs, k)).OrderBy(g => g.Key)
                .Select(g => g.OrderBy(k => k.Confidential != ConfidentialState.Off && !needs.Confidential).ThenBy(k => k.MemoryMiB)
                    .ThenBy(k => k.Profile?.Compute).ThenBy(k => k.ComputeCapability).ThenBy(k => k.Name, StringComparer.Ordinal).ToList())];
        return found;
    }

    private IReadOnlyList<Device>? Find(GpuNeeds needs)
    {
        foreach (var tier in TiersOf(needs))
            if ((needs.Share is { } share ? FindShare(tier, share) : needs.Count > 1 ? FindSeveral(tier, needs) : FindOne(tier)) is { } found)
                return found;
        return null;
    }

    private static IReadOnlyList<Device>? FindOne(IReadOnlyList<DeviceKind> tier) =>
        tier.FirstOrDefault(k => k.Groups.Count > 0) is { } kind ? [kind.Groups.Min!.Devices.First(d => d.IsFree)] : null;

    /// <summary>The opened GPU of which the least stays over, else a fresh one.</summary>
    private static IReadOnlyList<Device>? FindShare(IReadOnlyList<DeviceKind> tier, MemoryShare share)
    {
        var best = tier.Select(kind => (Kind: kind, Wanted: share.Of(kind.MemoryMiB)))
            .Select(k => (Device: k.Kind.Opened.FirstOrDefault(d => d.LeftMiB >= k.Wanted && d.Gpu.Fault is null && d.KeptFor is null), k.Wanted))
            .Where(k => k.Device is not null).OrderBy(k => k.Device!.LeftMiB - k.Wanted).FirstOrDefault().Device;
        return best is not null ? [best] : FindOne(tier);
    }

    /// <summary>GPUs that NVLinks connect before others, then the best fitting kind, in it those whose weakest connection is the best.</summary>
    private IReadOnlyList<Device>? FindSeveral(IReadOnlyList<DeviceKind> tier, GpuNeeds needs)
    {
        (IReadOnlyList<Device>? Devices, bool Linked) best = (null, false);
        foreach (var kind in tier)
        {
            if (FindSeveral(kind, needs) is not { } found) continue;
            var linked = found.Rank >= Connections.NvLink;
            if (best.Devices is null || (linked && !best.Linked)) best = (found.Devices, linked);
        }

        return best.Devices;
    }

    private (IReadOnlyList<Device> Devices, int Rank)? FindSeveral(DeviceKind kind, GpuNeeds needs)
    {
        (IReadOnlyList<Device> Devices, int Rank, int Sum)? best = null;
        foreach (var node in kind.Nodes)
        {
            if (node.Free < needs.Count) continue;
            var found = connections.Best([.. node.Devices.Where(d => d.IsFree)], needs.Count);
            if (needs.NvLink && found.Rank < Connections.NvLink) continue;
            if (best is null || (found.Rank, found.Sum).CompareTo((best.Value.Rank, best.Value.Sum)) > 0) best = found;
            // No other machine has a better one, and this is the fullest.
            if (best.Value.Rank == kind.BestRank) break;
        }

        return best is { } b ? (b.Devices, b.Rank) : null;
    }

    private static long? ShareOf(GpuNeeds needs, DeviceKind kind) => needs.Share?.Of(kind.MemoryMiB);

    private void Take(Device device, string endpointId, string podId, long? shareMiB) => Change(device, () =>
    {
        device.Users.Add(podId);
        device.Whole |= shareMiB is null;
        device.LeftMiB = shareMiB is { } share ? device.LeftMiB - share : 0;
        held[endpointId] = held.GetValueOrDefault(endpointId) + (shareMiB ?? device.Kind.MemoryMiB);
    });

    /// <summary>Changes a device and keeps the sorted sets right: an element must not change while it is in one.</summary>
    private static void Change(Device device, Action change)
    {
        var (kind, wasFree) = (device.Kind, device.IsFree);
        kind.Opened.Remove(device);
        change();
        if (!device.Whole && device.Users.Count > 0 && device.LeftMiB > 0) kind.Opened.Add(device);
        if (wasFree != device.IsFree)
        {
            Count(kind.Groups, device.Group, device.IsFree ? 1 : -1);
            Count(kind.Nodes, device.Node, device.IsFree ? 1 : -1);
        }
    }

    private static void Count(SortedSet<DeviceGroup> groups, DeviceGroup group, int by)
    {
        groups.Remove(group);
        group.Free += by;
        if (group.Free > 0) groups.Add(group);
    }

    private void AddDevices()
    {
        var byKey = new Dictionary<object, DeviceKind>();
        foreach (var gpu in inventory.Gpus)
        {
            Add(gpu, null);
            foreach (var slice in gpu.Slices) Add(gpu, slice);
        }

        foreach (var kind in kinds.Where(k => !k.Cut)) Group(kind);

        void Add(Gpu gpu, MigSlice? slice)
        {
            var key = DeviceKind.KeyOf(gpu, slice);
            if (!byKey.TryGetValue(key, out var kind)) kinds.Add(byKey[key] = kind = new DeviceKind(gpu, slice));
            var device = new Device(kind, gpu, slice?.Uuid ?? gpu.Uuid, byUuid.Count);
            if (byUuid.TryAdd(device.Uuid, device)) kind.Devices.Add(device);
        }
    }

    /// <summary>Sorts a kind's devices into machines, and those into NVLink groups or cut GPUs.</summary>
    private void Group(DeviceKind kind)
    {
        foreach (var node in kind.Devices.GroupBy(d => d.Gpu.Node))
        {
            var all = new DeviceGroup(node.First().Order);
            var parts = kind.Profile is null ? connections.Linked([.. node]) : [.. node.GroupBy(d => d.Gpu.Uuid).Select(g => g.ToList())];
            foreach (var part in parts)
            {
                var group = new DeviceGroup(part[0].Order);
                foreach (var device in part)
                {
                    (device.Group, device.Node) = (group, all);
                    group.Devices.Add(device);
                    all.Devices.Add(device);
                }

                group.Free = group.Devices.Count(d => d.IsFree);
                if (group.Free > 0) kind.Groups.Add(group);
            }

            all.Free = all.Devices.Count(d => d.IsFree);
            if (all.Free > 0) kind.Nodes.Add(all);
            kind.BestRank = Math.Max(kind.BestRank, connections.BestPair(all.Devices));
            kind.MostTogether = Math.Max(kind.MostTogether, all.Devices.Count);
        }
    }
}
