namespace Sluice.Core.Gpus;

/// <summary>Who has which device while one call of <see cref="Placement.Place"/> runs.</summary>
internal sealed class PlacementBoard
{
    private readonly InventoryLayout layout;
    private readonly State[] states;
    private readonly int[] freeIn;
    private readonly Dictionary<string, double> held = [];
    private readonly Dictionary<GpuNeeds, IReadOnlyList<IReadOnlyList<DeviceKind>>> tiers = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<GpuNeeds, PlacementRefusal> refused = new(ReferenceEqualityComparer.Instance);
    private readonly List<GpuWish> waiting = [];

    public PlacementBoard(Inventory inventory, IReadOnlyList<GpuHolding> running)
    {
        Inventory = inventory;
        layout = InventoryLayout.Of(inventory);
        states = new State[layout.Devices.Count];
        freeIn = new int[layout.GroupCount];
        foreach (var device in layout.Devices)
        {
            states[device.Order].LeftMiB = device.Kind.MemoryMiB;
            if (!device.Kind.Cut && IsFree(device)) Count(device, 1);
        }

        foreach (var pod in running)
            foreach (var device in pod.Devices)
                if (layout.Find(device.Uuid) is { } known) Take(known, pod.EndpointId, pod.PodId, device.ShareMiB);
    }

    public Inventory Inventory { get; }

    public IReadOnlyList<DeviceKind> Kinds => layout.Kinds;

    /// <summary>GPU memory that an endpoint's pods have, MiB.</summary>
    public double HeldMiB(string endpointId) => held.GetValueOrDefault(endpointId);

    /// <summary>Devices of a kind that a pod may have now.</summary>
    public int FreeOf(DeviceKind kind) => kind.Nodes.Sum(n => freeIn[n.Id]);

    /// <summary>Who has a device, how much of it is left, and for whom it is kept.</summary>
    public State Of(Device device) => states[device.Order];

    /// <summary>Whether a pod may have all of it now.</summary>
    public bool IsFree(Device device) => states[device.Order] is { Users: null, KeptFor: null } && device.Gpu.Fault is null;

    /// <summary>Whether NVLinks connect each two of so many devices of a kind, whoever has them.</summary>
    public bool AreLinked(DeviceKind kind, int count) =>
        kind.Nodes.Any(n => n.Devices.Count >= count && layout.Connections.Best(n.Devices, count, LeftBehind).Rank >= Connections.NvLink);

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
            var most = TiersOf(wish.Needs).SelectMany(t => t).SelectMany(k => k.Nodes).Where(n => n.Devices.Count >= wish.Needs.Count).MaxBy(n => freeIn[n.Id]);
            foreach (var device in most?.Devices.Where(IsFree).Take(wish.Needs.Count).ToList() ?? [])
            {
                states[device.Order].KeptFor = wish.EndpointId;
                Count(device, -1);
            }
        }

        waiting.Clear();
        refused.Clear();
    }

    /// <summary>Kinds that meet the needs: by preference of type, then the best fit first.</summary>
    private IReadOnlyList<IReadOnlyList<DeviceKind>> TiersOf(GpuNeeds needs)
    {
        if (!tiers.TryGetValue(needs, out var found))
            tiers[needs] = found = [.. Kinds.Where(k => NeedsCheck.Meets(needs, k)).GroupBy(k => NeedsCheck.Preference(needs, k)).OrderBy(g => g.Key)
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

    /// <summary>In the first kind that has one: of the group of which the least is left.</summary>
    private IReadOnlyList<Device>? FindOne(IReadOnlyList<DeviceKind> tier)
    {
        foreach (var kind in tier)
        {
            DeviceGroup? least = null;
            foreach (var group in kind.Groups)
                if (freeIn[group.Id] > 0 && (least is null || freeIn[group.Id] < freeIn[least.Id])) least = group;
            if (least is not null) return [least.Devices.First(IsFree)];
        }

        return null;
    }

    /// <summary>The opened GPU of which the least stays over, else a fresh one.</summary>
    private IReadOnlyList<Device>? FindShare(IReadOnlyList<DeviceKind> tier, MemoryShare share)
    {
        (Device Device, long Over)? best = null;
        foreach (var kind in tier)
        {
            var wanted = share.Of(kind.MemoryMiB);
            foreach (var device in kind.Devices)
            {
                ref var state = ref states[device.Order];
                if (state.Users is null || state.Whole || state.LeftMiB < wanted || state.KeptFor is not null || device.Gpu.Fault is not null) continue;
                if (best is null || state.LeftMiB - wanted < best.Value.Over) best = (device, state.LeftMiB - wanted);
            }
        }

        return best is { } b ? [b.Device] : FindOne(tier);
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
        foreach (var node in FullestFirst(kind, needs.Count))
        {
            var found = layout.Connections.Best([.. node.Devices.Where(IsFree)], needs.Count, LeftBehind);
            if (needs.NvLink && found.Rank < Connections.NvLink) continue;
            if (best is null || (found.Rank, found.Sum).CompareTo((best.Value.Rank, best.Value.Sum)) > 0) best = found;
            // No other machine has a better one, and this is the fullest.
            if (best.Value.Rank == kind.BestRank) break;
        }

        return best is { } b ? (b.Devices, b.Rank) : null;
    }

    /// <summary>Machines with at least so many free devices of a kind.</summary>
    private IEnumerable<DeviceGroup> FullestFirst(DeviceKind kind, int least)
    {
        var most = 0;
        foreach (var node in kind.Nodes) most = Math.Max(most, freeIn[node.Id]);
        for (var free = least; free <= most; free++)
            foreach (var node in kind.Nodes)
                if (freeIn[node.Id] == free) yield return node;
    }

    private int LeftBehind(DeviceGroup group) => freeIn[group.Id];

    private static long? ShareOf(GpuNeeds needs, DeviceKind kind) => needs.Share?.Of(kind.MemoryMiB);

    private void Take(Device device, string endpointId, string podId, long? shareMiB)
    {
        if (IsFree(device) && !device.Kind.Cut) Count(device, -1);
        ref var state = ref states[device.Order];
        (state.Users ??= []).Add(podId);
        state.Whole |= shareMiB is null;
        state.LeftMiB = shareMiB is { } share ? state.LeftMiB - share : 0;
        held[endpointId] = held.GetValueOrDefault(endpointId) + (shareMiB ?? device.Kind.MemoryMiB);
    }

    private void Count(Device device, int by)
    {
        freeIn[device.Group.Id] += by;
        freeIn[device.Node.Id] += by;
    }

    /// <summary>What has become of a device.</summary>
    internal record struct State
    {
        /// <summary>Pods that have it or a part of it; null: none.</summary>
        public List<string>? Users { get; set; }

        /// <summary>Memory that nobody has, MiB.</summary>
        public long LeftMiB { get; set; }

        /// <summary>Whether a pod has it alone.</summary>
        public bool Whole { get; set; }

        /// <summary>The endpoint of higher priority that it is kept for; null: none.</summary>
        public string? KeptFor { get; set; }
    }
}
